//! A process of the product, started as an operator would, that can be killed, paused and started again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harkara_launcher::log_tail;
use harkara_testkit::{ask_admin, is_ready};
use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};

/// How long a process may take until it is ready.
const READY_BOUND: Duration = Duration::from_secs(30);

/// How long a process may take to stop: more than either's `stop_deadline_ms`.
const STOP_BOUND: Duration = Duration::from_secs(40);

/// How long an admin port may take to answer.
const ANSWER_BOUND: Duration = Duration::from_secs(5);

/// Time between two checks of a process.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// An ingress or a worker. Its settings and its log stay the same over all of its starts.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) admin: SocketAddr,
    pub(crate) log: PathBuf,
    pub(crate) running: Option<harkara_launcher::Process>,
}

impl Process {
    /// Starts it, without waiting until it is ready.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        let process = harkara_launcher::Process::start(&mut command, &self.log)?;
        self.running = Some(process);
        Ok(())
    }

    /// Waits until it reports that it is ready.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_BOUND;
        loop {
            self.check_running()?;
            if let Ok(true) = timeout(ANSWER_BOUND, is_ready(self.admin)).await {
                return Ok(());
            }
            let (name, log) = (&self.name, log_tail(&self.log));
            ensure!(
                Instant::now() < deadline,
                "{name} is not ready in time{log}"
            );
            sleep(CHECK_EVERY).await;
        }
    }

    /// Fails if it has ended by itself.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        let running = self.running.as_mut();
        let is_running = running.is_some_and(harkara_launcher::Process::is_running);
        ensure!(is_running, "{} has ended{}", self.name, log_tail(&self.log));
        Ok(())
    }

    /// Kills it with `SIGKILL`.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let running = self.running.take();
        running
            .context("only what runs can be killed")?
            .kill()
            .with_context(|| format!("cannot kill {}", self.name))
    }

    /// Asks it to stop, as Kubernetes does, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.ended().await
    }

    /// Waits until it reports that it is not ready.
    pub(crate) async fn unready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_BOUND;
        while timeout(ANSWER_BOUND, is_ready(self.admin)).await == Ok(true) {
            ensure!(Instant::now() < deadline, "{} stays ready", self.name);
            sleep(CHECK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until it has stopped as it was asked to.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        let running = self.running.take();
        let mut process = running.context("only what runs can be stopped")?;
        let (name, deadline) = (&self.name, Instant::now() + STOP_BOUND);
        loop {
            match process.exit_status()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{name} ended with {status}{}", log_tail(&self.log)),
                None if Instant::now() < deadline => sleep(CHECK_EVERY).await,
                None => bail!("{name} does not stop{}", log_tail(&self.log)),
            }
        }
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        let running = self.running.as_ref().context("only what runs has memory")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.context("the system does not tell")?.parse::<u64>()? << 10)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.running.as_ref();
        process
            .with_context(|| format!("{} does not run", self.name))?
            .signal(signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// The value of a counter at `/metrics`, summed over its labels if the name has none.
    pub(crate) async fn counter(&self, counter: &str) -> Result<f64> {
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
}
