//! What every process uses between two moments of a run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::figures::{Figures, Other, Role, count, mebibytes};
use crate::process::{self, Pid};

/// CPU time of processes, counted from a moment on.
pub(crate) struct Watch {
    processes: Vec<(Role, Pid)>,
    meter: Meter,
    before: Vec<Duration>,
    own_before: Option<Duration>,
    began: Instant,
}

/// Tells the CPU time that a process has used.
type Meter = fn(Pid) -> Result<Duration>;

impl Watch {
    /// Begins to count. This process is counted as the generator where `with_generator`.
    pub(crate) fn begin(processes: &[(Role, Pid)], with_generator: bool) -> Result<Self> {
        let watch = Self::begin_with(processes, process::cpu_of_tree)?;
        Ok(Self {
            own_before: with_generator.then(process::own_cpu),
            ..watch
        })
    }

    /// Begins to count what processes use while nothing is delivered: to the nanosecond, but without
    /// what a thread used that ends meanwhile.
    pub(crate) fn begin_idle(processes: &[(Role, Pid)]) -> Result<Self> {
        Self::begin_with(processes, process::cpu_of_running_threads)
    }

    fn begin_with(processes: &[(Role, Pid)], meter: Meter) -> Result<Self> {
        Ok(Self {
            processes: processes.to_vec(),
            meter,
            before: processes
                .iter()
                .map(|(_, pid)| meter(*pid))
                .collect::<Result<_>>()?,
            own_before: None,
            began: Instant::now(),
        })
    }

    /// Counts also a process that began after the counting did, from its start on.
    pub(crate) fn add(&mut self, role: Role, pid: Pid) {
        self.processes.push((role, pid));
        self.before.push(Duration::ZERO);
    }

    /// Counts also a process that began after the counting did, from now on.
    pub(crate) fn add_from_now(&mut self, role: Role, pid: Pid) -> Result<()> {
        let before = (self.meter)(pid)?;
        self.processes.push((role, pid));
        self.before.push(before);
        Ok(())
    }

    /// Fills in what the processes used for `events`, and how much memory they have now.
    pub(crate) fn end(&self, events: usize, figures: &mut Figures) -> Result<()> {
        let events = count(events.max(1));
        figures.cpu_us_per_event = self
            .used()?
            .into_iter()
            .map(|(role, used)| (role, used.as_secs_f64() * 1e6 / events))
            .collect();
        self.resident(figures)
    }

    /// Fills in what the processes used in each second, and how much memory they have now.
    pub(crate) fn end_idle(&self, figures: &mut Figures) -> Result<()> {
        let seconds = self.began.elapsed().as_secs_f64();
        let of = |(role, used): (Role, Duration)| {
            let other = match role {
                Role::Ingress => Other::IdleIngressCpuMsPerS,
                Role::Redis => Other::IdleRedisCpuMsPerS,
                Role::Worker => Other::IdleWorkerCpuMsPerS,
                Role::Postgres => Other::IdlePostgresCpuMsPerS,
                // Nothing is delivered.
                Role::Generator => return None,
            };
            Some((other, used.as_secs_f64() * 1e3 / seconds))
        };
        figures
            .others
            .extend(self.used()?.into_iter().filter_map(of));
        self.resident(figures)
    }

    /// What the processes of each role have used together so far.
    fn used(&self) -> Result<BTreeMap<Role, Duration>> {
        let mut used: BTreeMap<Role, Duration> = BTreeMap::new();
        if let Some(before) = self.own_before {
            used.insert(Role::Generator, process::own_cpu().saturating_sub(before));
        }
        for ((role, pid), before) in self.processes.iter().zip(&self.before) {
            *used.entry(*role).or_default() += (self.meter)(*pid)?.saturating_sub(*before);
        }
        Ok(used)
    }

    fn resident(&self, figures: &mut Figures) -> Result<()> {
        for (role, pid) in &self.processes {
            *figures.resident_mib.entry(*role).or_default() +=
                mebibytes(process::resident_of_tree(*pid)?);
        }
        Ok(())
    }
}
