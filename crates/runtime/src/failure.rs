//! The exit code of a process.

use std::error::Error;
use std::process::ExitCode;

use harkara_core::causes::with_remedy_and_causes;

/// Returns success, or writes the error, its remedy and its causes to standard error and returns exit code 1.
///
/// The error is not logged, because logging may not be set up yet.
pub fn exit_code<E: Into<Box<dyn Error>>>(
    process: &str,
    result: Result<(), E>,
    remedy: impl FnOnce(&E) -> Option<String>,
) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let remedy = remedy(&error);
    let line = with_remedy_and_causes(&*error.into(), remedy.as_deref());
    eprintln!("{process}: {line}");
    ExitCode::FAILURE
}
