//! The resources that processes use during a run.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::figures::{Figures, Other, Role, count, mebibytes, number};
use crate::postgres_server::PostgresServer;
use crate::process::{self, Pid};

/// CPU time of processes, and the write-ahead log of PostgreSQL if it is among them.
pub(crate) struct Usage<'a> {
    /// Each with the CPU time that it had used when the counting began.
    processes: Vec<(Role, Pid, Duration)>,
    wal: Option<(&'a PostgresServer, u64)>,
}

/// This process, in the role of the generator. Its memory is not counted.
pub(crate) const THIS_PROCESS: (Role, Pid) = (Role::Generator, 0);

impl<'a> Usage<'a> {
    /// Begins to count.
    pub(crate) async fn begin(
        postgres: &'a PostgresServer,
        processes: &[(Role, Pid)],
    ) -> Result<Self> {
        let counts_wal = processes.iter().any(|(role, _)| *role == Role::Postgres);
        let wal = if counts_wal {
            Some((postgres, postgres.wal_bytes().await?))
        } else {
            None
        };
        let mut usage = Self {
            processes: Vec::new(),
            wal,
        };
        for (role, pid) in processes {
            usage.add_from_now(*role, *pid)?;
        }
        Ok(usage)
    }

    /// Adds a process that started after the counting began, from its start on.
    pub(crate) fn add(&mut self, role: Role, pid: Pid) {
        self.processes.push((role, pid, Duration::ZERO));
    }

    /// Adds a process from now on.
    pub(crate) fn add_from_now(&mut self, role: Role, pid: Pid) -> Result<()> {
        self.processes.push((role, pid, cpu_of(role, pid)?));
        Ok(())
    }

    /// The usage per event, and the memory in use now.
    pub(crate) async fn end(&self, events: usize, rate_per_s: f64) -> Result<Figures> {
        let per_event = count(events.max(1));
        let mut figures = Figures {
            events: count(events),
            rate_per_s,
            ..Figures::default()
        };
        for (role, pid, before) in &self.processes {
            let used = cpu_of(*role, *pid)?.saturating_sub(*before);
            *figures.cpu_us_per_event.entry(*role).or_default() +=
                used.as_secs_f64() * 1e6 / per_event;
        }
        add_resident(&self.processes, &mut figures)?;
        if let Some((postgres, before)) = self.wal {
            let written = postgres.wal_bytes().await? - before;
            figures.wal_bytes_per_event = Some(number(written) / per_event);
        }
        Ok(figures)
    }
}

/// The CPU time that processes use per second while nothing is delivered, and their memory at the end. Exact to
/// the nanosecond, but without that of threads that end in the meantime.
pub(crate) async fn idle(processes: &[(Role, Pid)], duration: Duration) -> Result<Figures> {
    let mut before = Vec::new();
    for (role, pid) in processes {
        before.push((*role, *pid, process::cpu_of_running_threads(*pid)?));
    }
    let began = Instant::now();
    tokio::time::sleep(duration).await;
    let seconds = began.elapsed().as_secs_f64();
    let mut figures = Figures::default();
    for (role, pid, before) in &before {
        let other = match role {
            Role::Ingress => Other::IdleIngressCpuMsPerS,
            Role::Redis => Other::IdleRedisCpuMsPerS,
            Role::Worker => Other::IdleWorkerCpuMsPerS,
            Role::Postgres => Other::IdlePostgresCpuMsPerS,
            // Nothing is delivered.
            Role::Generator => continue,
        };
        let used = process::cpu_of_running_threads(*pid)?.saturating_sub(*before);
        figures
            .others
            .insert(other, used.as_secs_f64() * 1e3 / seconds);
    }
    add_resident(&before, &mut figures)?;
    Ok(figures)
}

fn cpu_of(role: Role, pid: Pid) -> Result<Duration> {
    match role {
        Role::Generator => Ok(process::own_cpu()),
        _ => process::cpu_of_tree(pid),
    }
}

fn add_resident(processes: &[(Role, Pid, Duration)], figures: &mut Figures) -> Result<()> {
    let others = processes
        .iter()
        .filter(|(role, ..)| *role != Role::Generator);
    for (role, pid, _) in others {
        let resident = mebibytes(process::resident_of_tree(*pid)?);
        *figures.resident_mib.entry(*role).or_default() += resident;
    }
    Ok(())
}
