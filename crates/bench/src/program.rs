//! A program under measurement.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harkara_launcher::{Process, log_tail};
use harkara_testkit::Folder;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::process::Pid;

/// How long a program may take until it is ready.
const START_BOUND: Duration = Duration::from_secs(30);

/// How long a program may take to stop.
const STOP_BOUND: Duration = Duration::from_mins(1);

/// Time between two checks of a program.
const CHECK_EVERY: Duration = Duration::from_millis(1);

/// A running program. It is killed if this is dropped without [`Program::stop`].
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) pid: Pid,
    pub(crate) started: Instant,
    process: Process,
    log: PathBuf,
    /// Holds the log; removed with this value.
    _folder: Folder,
}

/// A command with an empty environment.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    command
}

impl Program {
    /// Starts a program; its output goes to a log.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let folder = Folder::new();
        let log = folder.path().join(format!("{name}.log"));
        let started = Instant::now();
        let process = Process::start(command, &log)?;
        Ok(Self {
            name: name.to_owned(),
            pid: Pid::try_from(process.id())?,
            started,
            process,
            log,
            _folder: folder,
        })
    }

    /// Waits until `check` returns something for the log so far.
    pub(crate) async fn wait_for<T>(
        &mut self,
        mut check: impl AsyncFnMut(&str) -> Option<T>,
    ) -> Result<T> {
        loop {
            if let Some(found) = check(&fs::read_to_string(&self.log)?).await {
                return Ok(found);
            }
            let (name, log) = (&self.name, &self.log);
            if let Some(status) = self.process.exit_status()? {
                bail!(
                    "{name} ended ({status}) before it was ready{}",
                    log_tail(log)
                );
            }
            let is_in_time = self.started.elapsed() < START_BOUND;
            ensure!(is_in_time, "{name} is not ready in time{}", log_tail(log));
            sleep(CHECK_EVERY).await;
        }
    }

    /// Asks the program to stop, and waits for it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let (name, log) = (&self.name, &self.log);
        let signalled = self.process.signal(Signal::TERM);
        signalled.with_context(|| format!("cannot signal {name}"))?;
        let deadline = Instant::now() + STOP_BOUND;
        loop {
            match self.process.exit_status()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{name} ended with {status}{}", log_tail(log)),
                None if Instant::now() < deadline => sleep(CHECK_EVERY).await,
                None => bail!("{name} does not stop{}", log_tail(log)),
            }
        }
    }
}

/// The first line of a log of which `find` makes something. A line that is not written to its end does not count.
pub(crate) fn line_of<T>(log: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut whole = log
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'));
    whole.find_map(find)
}
