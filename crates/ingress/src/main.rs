//! The program `harkara-ingress`.

use std::process::ExitCode;

fn main() -> ExitCode {
    harkara_ingress::main()
}
