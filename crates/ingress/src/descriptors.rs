//! The limit of open files, which bounds connections too.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::log_limit::LogLimit;

/// Each connection has a socket and a second handle to it.
const PER_CONNECTION: u64 = 2;

/// For listening, Redis, PostgreSQL, probes, metrics and the log. If the system permits few, half of them.
const OTHERS: u64 = 256;

/// Raises the process's limit of open files as far as `connections_max` needs it and the system permits. Returns how
/// many connections may be open; warns if those are fewer.
pub(crate) fn slots(connections_max: usize) -> usize {
    let needed = (connections_max as u64).saturating_mul(PER_CONNECTION) + OTHERS;
    let allowed = raised_to(needed);
    let others = OTHERS.min(allowed / 2);
    let slots = usize::try_from((allowed - others) / PER_CONNECTION).unwrap_or(usize::MAX);
    if slots < connections_max {
        tracing::warn!(
            files.needed = needed,
            files.allowed = allowed,
            connections = slots,
            "The limit of open files is too low for ingress.connections_max, so that fewer connections are accepted; raise it (`ulimit -n`, LimitNOFILE), or lower the setting."
        );
    }
    slots.clamp(1, connections_max)
}

/// Raises the limit to `needed` if it can be raised. Returns the limit.
fn raised_to(needed: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let of = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if of(limit.current) < needed {
        let raised = Rlimit {
            current: Some(of(limit.maximum).min(needed)),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(error = %error, "Cannot raise the limit of open files.");
        }
    }
    of(getrlimit(Resource::Nofile).current)
}

/// Fails if the process cannot open one more file, because it or the system has too many.
pub(crate) fn check_for_one_more() -> io::Result<()> {
    let another = io::stderr().as_fd().try_clone_to_owned();
    let is_shortage = |error: &io::Error| {
        [Errno::MFILE, Errno::NFILE]
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
    };
    another.map(drop).or_else(|error| {
        if is_shortage(&error) {
            Err(error)
        } else {
            // It says nothing, for instance if standard error is closed.
            Ok(())
        }
    })
}

/// The log of connections that could not be accepted for want of open files.
pub(crate) struct ShortageLog(LogLimit);

impl ShortageLog {
    pub(crate) fn new() -> Self {
        Self(LogLimit::new())
    }

    /// Logs the first error of each minute.
    pub(crate) fn log(&self, error: &io::Error) {
        if self.0.permits() {
            tracing::warn!(
                error = %error,
                "Connections cannot be accepted for want of open files, so strangers' are closed; raise the limit of the process (`ulimit -n`, LimitNOFILE) or the system (fs.file-max)."
            );
        }
    }
}
