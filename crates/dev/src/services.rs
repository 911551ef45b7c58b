//! Started processes, each recorded in a pid file, so that a later command finds what an earlier one left.
//!
//! A process holds its pid file locked as long as it lives: the locked file is its standard input. A process
//! that got the same id later does not hold the lock, so it is never mistaken for ours.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use harkara_launcher::{Process, log_tail};
use rustix::process::Signal;

use crate::{interrupt, report};

/// What we start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceKind {
    /// The ingress.
    Ingress,
    /// The worker.
    Worker,
    /// The private Redis.
    Redis,
    /// The private PostgreSQL.
    Postgres,
}

impl ServiceKind {
    /// The ingress stops first, the stores last.
    pub(crate) const IN_STOP_ORDER: [Self; 4] =
        [Self::Ingress, Self::Worker, Self::Redis, Self::Postgres];

    /// The name of its files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Worker => "worker",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// The signals that stop it, each with the time until the next; SIGKILL follows.
    fn signals(self, keeps_data: bool) -> Vec<(Signal, Duration)> {
        let (term, int, quit) = (Signal::TERM, Signal::INT, Signal::QUIT);
        let signals: &[(Signal, u64)] = match self {
            // PostgreSQL's immediate shutdown, as in a crash. Killed outright, it would leave children behind.
            Self::Postgres if !keeps_data => &[(quit, 5)],
            _ if !keeps_data => &[],
            // Longer than the processes give themselves to finish what is in flight.
            Self::Ingress | Self::Worker => &[(term, 30)],
            Self::Redis => &[(term, 10)],
            // The fast shutdown closes sessions.
            Self::Postgres => &[(int, 20), (quit, 5)],
        };
        let timed = |&(signal, seconds)| (signal, Duration::from_secs(seconds));
        signals.iter().map(timed).collect()
    }
}

/// A process that we started.
struct Service {
    kind: ServiceKind,
    log: PathBuf,
    process: Process,
}

impl Service {
    /// Fails with the end of its log if it has ended.
    fn check_running(&mut self) -> Result<()> {
        let Some(status) = self.process.exit_status()? else {
            return Ok(());
        };
        bail!(
            "{} ended unexpectedly ({status}){}",
            self.kind.name(),
            log_tail(&self.log)
        )
    }
}

/// The running services, stopped in order when dropped.
#[must_use = "the services are stopped when this is dropped"]
pub(crate) struct Services {
    logs: PathBuf,
    run: PathBuf,
    keeps_data: bool,
    running: Vec<Service>,
}

impl Services {
    /// No services yet, with a folder for logs and one for pid files. If their data is not kept they are stopped
    /// abruptly.
    pub(crate) fn new(logs: &Path, run: &Path, keeps_data: bool) -> Self {
        Self {
            logs: logs.to_owned(),
            run: run.to_owned(),
            keeps_data,
            running: Vec::new(),
        }
    }

    /// Starts a process in a process group of its own: neither Ctrl-C nor the closing of the terminal reaches
    /// it, so that we can stop all in order.
    pub(crate) fn start(&mut self, kind: ServiceKind, mut command: Command) -> Result<()> {
        let log = self.logs.join(format!("{}.log", kind.name()));
        File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let pid_file = pid_file(&self.run, kind);
        let writing = || format!("cannot write {}", pid_file.display());
        let locked = File::create(&pid_file).with_context(writing)?;
        locked.try_lock().with_context(writing)?;
        let process = Process::start(command.stdin(locked).process_group(0), &log)?;
        let id = process.id();
        self.running.push(Service { kind, log, process });
        fs::write(&pid_file, id.to_string()).with_context(writing)
    }

    /// Waits until `ready`, called with the process id, returns true; fails if the process ends first or
    /// `bound` has passed.
    pub(crate) fn wait_until(
        &mut self,
        kind: ServiceKind,
        bound: Duration,
        ready: impl Fn(u32) -> bool,
    ) -> Result<()> {
        let mut running = self.running.iter_mut();
        let service = running.find(|service| service.kind == kind);
        let service = service.with_context(|| format!("{} was not started", kind.name()))?;
        let deadline = Instant::now() + bound;
        while !ready(service.process.id()) {
            service.check_running()?;
            ensure!(
                Instant::now() < deadline,
                "{} is not ready after {} seconds{}",
                kind.name(),
                bound.as_secs(),
                log_tail(&service.log)
            );
            interrupt::pause()?;
        }
        Ok(())
    }

    /// Fails if any has ended.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        self.running.iter_mut().try_for_each(Service::check_running)
    }

    /// Watches them until Ctrl-C; fails if one ends by itself.
    pub(crate) fn watch(&mut self) -> Result<()> {
        while interrupt::pause().is_ok() {
            self.check_running()?;
        }
        Ok(())
    }

    /// Leaves them running after us.
    pub(crate) fn leave_running(mut self) {
        for service in self.running.drain(..) {
            service.process.leave_running();
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for kind in ServiceKind::IN_STOP_ORDER {
            let signals = kind.signals(self.keeps_data);
            let running = self.running.iter_mut();
            for service in running.filter(|service| service.kind == kind) {
                if service.process.stop(&signals) {
                    remove_pid_file(&self.run, kind);
                } else {
                    let id = service.process.id();
                    report::complain(&format!("{} does not end (process {id})", kind.name()));
                }
            }
        }
    }
}

/// A process as its pid file records it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// What it is.
    pub(crate) kind: ServiceKind,
    /// Its process id.
    pub(crate) id: u32,
}

impl Recorded {
    /// All processes recorded in a folder, running or not, in the order in which they are stopped.
    pub(crate) fn read_all(run: &Path) -> Vec<Self> {
        let read = |kind| {
            let id = fs::read_to_string(pid_file(run, kind)).ok()?;
            Some(Self {
                kind,
                id: id.trim().parse().ok()?,
            })
        };
        ServiceKind::IN_STOP_ORDER
            .into_iter()
            .filter_map(read)
            .collect()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&self, run: &Path) -> bool {
        File::open(pid_file(run, self.kind)).is_ok_and(|file| file.try_lock_shared().is_err())
    }

    /// Stops it, and removes its pid file. Returns whether it was running.
    pub(crate) fn stop(&self, run: &Path) -> Result<bool> {
        let was_running = self.is_running(run);
        if was_running {
            let signals = self.kind.signals(true);
            let stopped = harkara_launcher::stop(self.id, &signals, || !self.is_running(run));
            let name = self.kind.name();
            ensure!(stopped, "cannot kill {name} (process {})", self.id);
        }
        remove_pid_file(run, self.kind);
        Ok(was_running)
    }
}

fn pid_file(run: &Path, kind: ServiceKind) -> PathBuf {
    run.join(format!("{}.pid", kind.name()))
}

fn remove_pid_file(run: &Path, kind: ServiceKind) {
    // A file that stays behind is harmless: nobody holds its lock.
    fs::remove_file(pid_file(run, kind)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_is_stopped_and_a_stranger_with_its_id_is_not() {
        let run = std::env::temp_dir().join(format!("harkara-dev-services-{}", std::process::id()));
        fs::create_dir_all(&run).unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        let mut services = Services::new(&run, &run, false);
        services.start(ServiceKind::Worker, sleep).unwrap();
        services.check_running().unwrap();
        let mut leftover = services.running.remove(0);
        let id = leftover.process.id();
        let recorded = Recorded {
            kind: ServiceKind::Worker,
            id,
        };
        assert_eq!(Recorded::read_all(&run), [recorded]);

        let redis = pid_file(&run, ServiceKind::Redis);
        fs::write(&redis, id.to_string()).unwrap();
        let [worker, stranger] = &Recorded::read_all(&run)[..] else {
            panic!("two processes are recorded");
        };
        assert!(!stranger.is_running(&run) && !stranger.stop(&run).unwrap());
        assert!(leftover.process.is_running(), "the stranger was stopped");
        assert!(worker.is_running(&run));

        assert!(worker.stop(&run).unwrap());
        assert!(!worker.is_running(&run) && leftover.process.stop(&[]));
        assert_eq!(Recorded::read_all(&run), []);
        fs::remove_dir_all(&run).unwrap();
    }
}
