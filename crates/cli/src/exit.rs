//! How the process ends: 0 done, 1 failed, 2 usage error.

use std::io;
use std::process::ExitCode;

use harkara_core::causes::with_causes;
use harkara_operations::OperationError;

use crate::output;

/// How a command ended that did its work and printed the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All that was asked for.
    Done,
    /// Less than that; the output says what is missing.
    NotAllDone,
}

impl Ending {
    pub(crate) fn of(is_done: bool) -> Self {
        if is_done {
            Self::Done
        } else {
            Self::NotAllDone
        }
    }
}

/// A combination of arguments and settings that cannot work. The text says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The exit code of usage errors, as `clap` has it.
const USAGE_ERROR: u8 = 2;

/// Prints an error with its remedy, and returns the exit code.
pub(crate) fn code(result: anyhow::Result<Ending>) -> ExitCode {
    let error = match result {
        Ok(Ending::Done) => return ExitCode::SUCCESS,
        Ok(Ending::NotAllDone) => return ExitCode::FAILURE,
        Err(error) => error,
    };
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    let remedy = error.downcast_ref().and_then(OperationError::remedy);
    let remedy = remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
    output::note(format!("harkara: {}{remedy}", with_causes(&*error)));
    if error.is::<UsageError>() {
        ExitCode::from(USAGE_ERROR)
    } else {
        ExitCode::FAILURE
    }
}

/// Whether the reader of the output, such as `head`, had enough, which is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
