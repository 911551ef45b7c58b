//! Child processes: started, signalled, stopped.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::LaunchError;
use crate::error::cannot;

/// How long a killed process may take to disappear.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Time between two checks whether a process has ended.
const CHECK_EVERY: Duration = Duration::from_millis(5);

/// A child process; killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a command that appends its output to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, LaunchError> {
        let file = File::options().create(true).append(true).open(log);
        let both = file.and_then(|stdout| Ok((stdout.try_clone()?, stdout)));
        let (stderr, stdout) = both.map_err(cannot(format!("write {}", log.display())))?;
        let child = command.stdout(stdout).stderr(stderr).spawn();
        child
            .map_err(cannot(format!("run {}", command.get_program().display())))
            .map(Self)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended; `None` while it runs.
    pub fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Whether it still runs. A process whose state cannot be read counts as running, so that it is stopped.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None) | Err(_))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        send(self.id(), signal)
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// Stops it; see [`stop`].
    pub fn stop(&mut self, signals: &[(Signal, Duration)]) -> bool {
        stop(self.id(), signals, || !self.is_running())
    }

    /// Lets it run on without us.
    pub fn leave_running(self) {
        std::mem::forget(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            // It has ended in the meantime, or is stuck in the kernel; neither can be helped.
            self.kill().ok();
        }
    }
}

/// Sends a signal to a process.
pub fn send(id: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, signal)?)
}

/// Sends each signal in turn, and at last SIGKILL, until `has_ended`; each has the given time to take effect.
/// Returns whether the process has ended, which only one stuck in the kernel has not.
pub fn stop(id: u32, signals: &[(Signal, Duration)], mut has_ended: impl FnMut() -> bool) -> bool {
    let last = (Signal::KILL, KILL_PATIENCE);
    for &(signal, patience) in signals.iter().chain([&last]) {
        if has_ended() {
            return true;
        }
        // It fails only for a process that has ended, which is what is wanted.
        send(id, signal).ok();
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if has_ended() {
                return true;
            }
            sleep(CHECK_EVERY);
        }
    }
    has_ended()
}
