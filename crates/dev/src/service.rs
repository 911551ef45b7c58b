//! A started process: watched while it comes up, stopped in the end, remembered in a file.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::failure::{Result, While as _};
use crate::{ending, interrupt, pid_file, report};

/// What we start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The ingress.
    Ingress,
    /// The worker.
    Worker,
    /// The private Redis.
    Redis,
    /// The private PostgreSQL.
    Postgres,
}

impl Kind {
    /// What takes deliveries in ends first, what keeps them ends last.
    pub(crate) const IN_ORDER_OF_STOPPING: [Self; 4] =
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

    /// Its name in a sentence.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Ingress => "the ingress",
            Self::Worker => "the worker",
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The signals that ask it to end, each with the time it is given to obey; SIGKILL follows.
    pub(crate) fn polite_signals(self) -> Vec<(Signal, Duration)> {
        match self {
            // Longer than the processes give themselves to finish what is in flight.
            Self::Ingress | Self::Worker => vec![(Signal::TERM, Duration::from_secs(30))],
            Self::Redis => vec![(Signal::TERM, Duration::from_secs(10))],
            // Fast shutdown (sessions are closed), then immediate (as a crash).
            Self::Postgres => {
                vec![
                    (Signal::INT, Duration::from_secs(20)),
                    (Signal::QUIT, Duration::from_secs(5)),
                ]
            }
        }
    }

    /// The signals for servers whose data is thrown away.
    pub(crate) fn curt_signals(self) -> Vec<(Signal, Duration)> {
        match self {
            // PostgreSQL takes its own children with it only when it is not killed outright.
            Self::Postgres => vec![(Signal::QUIT, Duration::from_secs(5))],
            Self::Ingress | Self::Worker | Self::Redis => Vec::new(),
        }
    }
}

/// Where a process writes and where it is remembered.
pub(crate) struct Places<'a> {
    /// The folder of logs; the process's own is named after its kind.
    pub(crate) logs: &'a Path,
    /// The folder of pid files.
    pub(crate) run: &'a Path,
}

/// A process of ours that is running, or was when we last looked.
pub(crate) struct Service {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it writes.
    pub(crate) log: PathBuf,
    child: Child,
    run: PathBuf,
}

impl Service {
    /// Starts a process in a group of its own (neither the terminal's Ctrl-C nor its closing
    /// reaches it: we end it, in our order) and remembers it by the texts `marks`, all of which
    /// its command line contains.
    pub(crate) fn start(
        kind: Kind,
        mut command: Command,
        places: &Places<'_>,
        marks: &[String],
    ) -> Result<Self> {
        let log = places.logs.join(format!("{}.log", kind.name()));
        let output = File::create(&log).or_cannot(|| format!("write {}", log.display()))?;
        let errors = output
            .try_clone()
            .or_cannot(|| format!("write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .or_cannot(|| format!("run {}", command.get_program().display()))?;
        let service = Self {
            kind,
            log,
            child,
            run: places.run.to_owned(),
        };
        pid_file::write(places.run, kind, service.pid(), marks)?;
        Ok(service)
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of its log when it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                let sentence = format!("{} has ended by itself ({status})", self.kind.label());
                Err(format!("{sentence}{}", report::tail(&self.log)).into())
            }
            // A child whose state cannot be read is taken to be alive, so that it is stopped.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Waits until `ready` says so; fails when the process ends first or takes longer than `bound`.
    pub(crate) fn wait_until(
        &mut self,
        bound: Duration,
        mut ready: impl FnMut(u32) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + bound;
        while !ready(self.pid()) {
            self.check_alive()?;
            if Instant::now() > deadline {
                let sentence = format!(
                    "{} is not ready after {} seconds",
                    self.kind.label(),
                    bound.as_secs()
                );
                return Err(format!("{sentence}{}", report::tail(&self.log)).into());
            }
            interrupt::pause()?;
        }
        Ok(())
    }

    /// Stops it with these signals. Returns whether it is gone, which only a process stuck in the
    /// kernel is not.
    pub(crate) fn stop(&mut self, signals: &[(Signal, Duration)]) -> bool {
        let child = &mut self.child;
        let gone = ending::end(child.id(), signals, || {
            !matches!(child.try_wait(), Ok(None))
        });
        if gone {
            pid_file::remove(&self.run, self.kind);
        }
        gone
    }
}

/// The running services, stopped in their order when dropped.
#[must_use = "the services are stopped when this is dropped"]
pub(crate) struct Services {
    running: Vec<Service>,
    data_is_kept: bool,
}

impl Services {
    /// No services yet. Where their data is not kept they are stopped without ceremony.
    pub(crate) fn none(data_is_kept: bool) -> Self {
        Self {
            running: Vec::new(),
            data_is_kept,
        }
    }

    /// Takes charge of one more.
    pub(crate) fn add(&mut self, service: Service) -> &mut Service {
        self.running.push(service);
        self.running.last_mut().expect("one was just added")
    }

    /// The one of this kind.
    pub(crate) fn of(&mut self, kind: Kind) -> Option<&mut Service> {
        self.running.iter_mut().find(|service| service.kind == kind)
    }

    /// Fails when any has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.running.iter_mut().try_for_each(Service::check_alive)
    }

    /// Leaves them running, without us.
    pub(crate) fn leave_running(mut self) {
        self.running.clear();
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for kind in Kind::IN_ORDER_OF_STOPPING {
            let signals = if self.data_is_kept {
                kind.polite_signals()
            } else {
                kind.curt_signals()
            };
            for service in self
                .running
                .iter_mut()
                .filter(|service| service.kind == kind)
            {
                if !service.stop(&signals) {
                    report::complain(&format!(
                        "{} does not end (process {})",
                        kind.label(),
                        service.pid()
                    ));
                }
            }
        }
    }
}
