//! A program under measurement: started, told to stop, ended with us.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid as RawPid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::process::Pid;

/// How long a program may take until it is ready.
const START_BOUND: Duration = Duration::from_secs(30);

/// How long a program may take to end.
const STOP_BOUND: Duration = Duration::from_mins(1);

/// Lines of a program's output that are kept to be told where it fails.
const LINES_KEPT: usize = 20;

/// Lines that may wait to be looked at.
const LINES_WAITING_MAX: usize = 1_000;

/// A running program. It is killed where this is dropped without [`Program::stop`].
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) pid: Pid,
    pub(crate) started: Instant,
    child: Child,
    lines: mpsc::Receiver<String>,
    kept: VecDeque<String>,
}

/// A program with no environment but what is given it.
pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.env_clear();
    command
}

impl Program {
    /// Starts a program; what it writes is read.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let pid = child.id().context("a started program has a number")?;
        let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
        if let Some(output) = child.stdout.take() {
            tokio::spawn(pass_on(output, sender.clone()));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(pass_on(output, sender));
        }
        Ok(Self {
            name: name.to_owned(),
            pid,
            started,
            child,
            lines,
            kept: VecDeque::new(),
        })
    }

    /// Waits until the program writes a line of which `find` makes something.
    pub(crate) async fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let until = tokio::time::Instant::now() + START_BOUND;
        loop {
            let Ok(line) = tokio::time::timeout_at(until, self.lines.recv()).await else {
                bail!("{} is not ready in time{}", self.name, self.told());
            };
            let Some(line) = line else {
                let status = self.child.wait().await?;
                bail!(
                    "{} ended ({status}) before it was ready{}",
                    self.name,
                    self.told()
                );
            };
            if let Some(found) = find(&line) {
                return Ok(found);
            }
            self.keep(line);
        }
    }

    /// Tells the program to end, and waits for it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = tokio::time::timeout(STOP_BOUND, self.child.wait()).await;
        let Ok(status) = status else {
            bail!("{} does not end", self.name);
        };
        let status = status?;
        while let Some(line) = self.lines.recv().await {
            self.keep(line);
        }
        if !status.success() {
            bail!("{} ended with {status}{}", self.name, self.told());
        }
        Ok(())
    }

    /// Errs where the program has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        while let Ok(line) = self.lines.try_recv() {
            self.keep(line);
        }
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}){}", self.name, self.told());
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(RawPid::from_raw);
        let pid = pid.context("a process number is positive")?;
        kill_process(pid, signal).with_context(|| format!("{} cannot be told to end", self.name))
    }

    fn keep(&mut self, line: String) {
        if self.kept.len() == LINES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }

    fn told(&self) -> String {
        self.kept
            .iter()
            .flat_map(|line| ["\n    ", line.as_str()])
            .collect()
    }
}

/// Reads lines so that the program never waits for us; those that nobody looks at are dropped.
async fn pass_on(output: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut output = BufReader::new(output).lines();
    while let Ok(Some(line)) = output.next_line().await {
        match lines.try_send(line) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

/// A local port that is free now, for a program that cannot take one itself.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}
