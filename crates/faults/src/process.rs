//! A process of the product, started as an operator would, that may be killed, paused and started again.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harkara_testkit::{ask_admin, is_ready};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a process may take until it is ready.
const READY_BOUND: Duration = Duration::from_secs(30);

/// How long a process may take to end when it is told to: more than either's `stop_deadline_ms`.
const STOP_BOUND: Duration = Duration::from_secs(40);

/// How long an admin port may take to answer.
const ANSWER_BOUND: Duration = Duration::from_secs(5);

/// Time between two looks at whether a process is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Bytes of a log's end that are told where its process fails.
const LOG_BYTES_TOLD: usize = 4_000;

/// An ingress or a worker. Its settings and its log stay the same over all of its starts.
pub(crate) struct Process {
    pub(crate) name: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
    admin: SocketAddr,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A process that is not yet started.
    pub(crate) fn new(
        name: &str,
        program: &Path,
        environment: Vec<(String, String)>,
        admin: SocketAddr,
        folder: &Path,
    ) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            environment,
            admin,
            log: folder.join(format!("{name}.log")),
            child: None,
        }
    }

    /// Starts it, and returns at once.
    pub(crate) fn start(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("{} cannot be written", self.log.display()))?;
        let child = Command::new(&self.program)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let until = Instant::now() + READY_BOUND;
        loop {
            self.check_alive()?;
            if let Ok(true) = timeout(ANSWER_BOUND, is_ready(self.admin)).await {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("{} is not ready in time{}", self.name, self.told());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether it was started and has not ended.
    pub(crate) fn runs(&mut self) -> Result<bool> {
        let Some(child) = &mut self.child else {
            return Ok(false);
        };
        Ok(child.try_wait()?.is_none())
    }

    /// Errs where it has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if self.runs()? {
            return Ok(());
        }
        bail!("{} has ended{}", self.name, self.told())
    }

    /// Kills it with `SIGKILL`.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("only what runs can be killed")?;
        child
            .kill()
            .await
            .with_context(|| format!("{} cannot be killed", self.name))
    }

    /// Tells it to end, as Kubernetes does, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let mut child = self.child.take().context("only what runs can be stopped")?;
        let Ok(status) = timeout(STOP_BOUND, child.wait()).await else {
            bail!("{} does not end{}", self.name, self.told());
        };
        let status = status?;
        if !status.success() {
            bail!("{} ended with {status}{}", self.name, self.told());
        }
        Ok(())
    }

    /// Stops it from running, without telling it, until [`Self::go_on`].
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it run on.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// The sum of a counter at `/metrics`, over all of its labels where the name says none.
    pub(crate) async fn counted(&self, counter: &str) -> Result<f64> {
        let metrics = timeout(ANSWER_BOUND, ask_admin(self.admin, "/metrics"))
            .await
            .with_context(|| format!("the admin port of {} does not answer", self.name))??;
        let values = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(counter)?;
            if !rest.starts_with(['{', ' ']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        });
        Ok(values.sum())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.as_ref().and_then(Child::id);
        let pid = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.with_context(|| format!("{} does not run", self.name))?;
        kill_process(pid, signal).with_context(|| format!("{} takes no signal", self.name))
    }

    /// The end of its log.
    fn told(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let end = &log[log.len().saturating_sub(LOG_BYTES_TOLD)..];
        format!(":\n{}", String::from_utf8_lossy(end))
    }
}
