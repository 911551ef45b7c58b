//! The exit code of a process.

use std::process::ExitCode;

use harkara_core::causes::with_causes;

/// Returns success, or writes the error and its causes to standard error and returns exit code 1.
///
/// The error is not logged, because logging may not be set up yet.
pub fn exit_code<E: Into<Box<dyn std::error::Error>>>(
    process: &str,
    result: Result<(), E>,
) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{process}: {}", with_causes(&*error.into()));
            ExitCode::FAILURE
        }
    }
}
