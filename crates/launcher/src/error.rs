//! Errors, and the end of a log to show with them.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::ExitStatus;

/// How many of a log's last lines are shown when its process fails.
const TAIL_LINES: usize = 15;

/// How much of a log's end is read to find them.
const TAIL_BYTES: u64 = 16 * 1024;

/// Why a server could not be created, started or stopped.
#[derive(Debug)]
pub enum LaunchError {
    /// The system refused an operation.
    System {
        /// What was attempted, such as `run /usr/bin/initdb`.
        action: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program that prepares a server failed.
    ProgramFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// We are root, and no account can run PostgreSQL.
    NoAccount,
    /// Every port that this process may hand out is in use.
    NoFreePort,
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { action, .. } => write!(f, "cannot {action}"),
            Self::ProgramFailed {
                program,
                status,
                stderr,
            } => write!(f, "{program} failed ({status}): {}", stderr.trim_end()),
            Self::NoAccount => f.write_str(
                "PostgreSQL refuses to run as root, and neither `postgres` nor `nobody` is in /etc/passwd; \
                 run this as an ordinary user",
            ),
            Self::NoFreePort => f.write_str("no free port on 127.0.0.1"),
        }
    }
}

impl Error for LaunchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let Self::System { source, .. } = self else {
            return None;
        };
        Some(source)
    }
}

/// Adds the attempted operation to an error of the system.
pub(crate) fn cannot(action: String) -> impl FnOnce(io::Error) -> LaunchError {
    |source| LaunchError::System { action, source }
}

/// The last lines of a log under its name, indented, to append to an error message.
#[must_use]
pub fn log_tail(log: &Path) -> String {
    match last_lines(log) {
        Ok(lines) if lines.is_empty() => format!("\n  ({} is empty)", log.display()),
        Ok(lines) => format!("\n  end of {}:{lines}", log.display()),
        Err(error) => format!("\n  (cannot read {}: {error})", log.display()),
    }
}

fn last_lines(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    Ok(shown.iter().flat_map(|line| ["\n  | ", line]).collect())
}
