//! All programs in one binary, which is less than half as large as three: most of their code is the same. Runs the
//! program by whose name it is called.

use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = env::args_os().next().unwrap_or_default();
    let name = Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str());
    match name {
        Some("harkara-ingress") => harkara_ingress::main(),
        Some("harkara-worker") => harkara_worker::main(),
        _ => harkara_cli::main(),
    }
}
