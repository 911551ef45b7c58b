//! A command that is waited for: cargo, a test runner, `harkara`. It ends with us.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Result, While as _};
use crate::{ending, interrupt};

/// How long a command may take to end when asked to: a test in progress gets this long before it
/// is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// A command under way; it is ended when dropped before its end.
#[must_use = "the command is ended when this is dropped"]
pub(crate) struct Task {
    child: Child,
}

impl Task {
    /// Starts a command in our own process group, so that Ctrl-C reaches it too.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .or_cannot(|| format!("run {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Starts a command as above with the terminal's keyboard, for runners that answer to keys.
    pub(crate) fn start_with_keyboard(command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .or_cannot(|| format!("run {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Starts a command as above with its words in a log, which begins anew.
    pub(crate) fn start_logged(command: &mut Command, log: &Path) -> Result<Self> {
        let writing = || format!("write {}", log.display());
        let output = File::create(log).or_cannot(writing)?;
        let errors = output.try_clone().or_cannot(writing)?;
        Self::start(command.stdout(output).stderr(errors))
    }

    /// Waits for its end, as long as that takes.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            match self
                .child
                .try_wait()
                .or_cannot(|| "wait for a command".to_owned())?
            {
                // Ctrl-C reached it before us: its failure is no news.
                Some(status) if !status.success() && interrupt::requested() => {
                    return Err(Failure::Interrupted);
                }
                Some(status) => return Ok(status),
                None => interrupt::pause()?,
            }
        }
    }
}

/// A command's own exit code; 1 when a signal ended it.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

impl Drop for Task {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            ending::end_tree(&mut self.child, PATIENCE);
        }
    }
}
