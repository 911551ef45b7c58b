//! How the process ends: 0 done, 1 failed, 2 used wrongly.

use std::io;
use std::process::ExitCode;

use harkara_core::causes::with_causes;

/// How a command ended that could do its work and has told the outcome itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All that was asked for.
    Done,
    /// Less than that; the output says what is missing.
    NotAllDone,
}

/// The command cannot be meant as it stands. The text says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsedWrongly(pub(crate) String);

/// The exit code 2, which `clap` gives for what it finds wrong itself.
const USED_WRONGLY: u8 = 2;

/// Tells an error on standard error, and gives the exit code.
pub(crate) fn code(result: anyhow::Result<Ending>) -> ExitCode {
    let error = match result {
        Ok(Ending::Done) => return ExitCode::SUCCESS,
        Ok(Ending::NotAllDone) => return ExitCode::FAILURE,
        Err(error) => error,
    };
    if nobody_reads(&error) {
        return ExitCode::SUCCESS;
    }
    eprintln!("harkara: {}", with_causes(&*error));
    if error.is::<UsedWrongly>() {
        ExitCode::from(USED_WRONGLY)
    } else {
        ExitCode::FAILURE
    }
}

/// Whether the reader of our output, such as `head`, had enough: no failure.
fn nobody_reads(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
