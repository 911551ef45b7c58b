//! The exit code of a process.

use std::error::Error;
use std::process::ExitCode;

use harkara_core::causes::with_remedy_and_causes;

use crate::logging;

/// Returns success, or writes the error, its remedy and its causes to standard error and returns exit code 1. Waits
/// until the reader of standard error has taken everything, at most a second; then the process is to end.
///
/// The error is not logged, because logging may not be set up yet.
pub fn exit_code<E: Into<Box<dyn Error>>>(
    process: &str,
    result: Result<(), E>,
    remedy: impl FnOnce(&E) -> Option<String>,
) -> ExitCode {
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let remedy = remedy(&error);
            let line = with_remedy_and_causes(&*error.into(), remedy.as_deref());
            logging::write(&format!("{process}: {line}"));
            ExitCode::FAILURE
        }
    };
    logging::finish();
    code
}
