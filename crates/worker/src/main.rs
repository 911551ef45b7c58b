//! The program `harkara-worker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    harkara_worker::main()
}
