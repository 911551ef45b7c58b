//! The program `harkara`.

use std::process::ExitCode;

fn main() -> ExitCode {
    harkara_cli::main()
}
