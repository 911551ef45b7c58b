//! One run: what every process used between two moments.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::figures::{Figures, Role, count, mebibytes};
use crate::process::{self, Pid};

/// CPU time of processes, counted from a moment on.
pub(crate) struct Watch {
    processes: Vec<(Role, Pid)>,
    before: Vec<Duration>,
    own_before: Option<Duration>,
}

impl Watch {
    /// Begins to count. This process is counted as the generator where `with_generator`.
    pub(crate) fn begin(processes: &[(Role, Pid)], with_generator: bool) -> Result<Self> {
        Ok(Self {
            processes: processes.to_vec(),
            before: cpu_of(processes)?,
            own_before: with_generator.then(process::own_cpu),
        })
    }

    /// Counts also a process that began after the counting did.
    pub(crate) fn add(&mut self, role: Role, pid: Pid) {
        self.processes.push((role, pid));
        self.before.push(Duration::ZERO);
    }

    /// Fills in what the processes used for `events`, and how much memory they have now.
    pub(crate) fn end(&self, events: usize, figures: &mut Figures) -> Result<()> {
        let own = self
            .own_before
            .map(|before| process::own_cpu().saturating_sub(before));
        let after = cpu_of(&self.processes)?;
        let events = count(events.max(1));
        let mut used: BTreeMap<Role, Duration> = BTreeMap::new();
        for (((role, _), before), after) in self.processes.iter().zip(&self.before).zip(after) {
            *used.entry(*role).or_default() += after.saturating_sub(*before);
        }
        if let Some(own) = own {
            used.insert(Role::Generator, own);
        }
        figures.cpu_us_per_event = used
            .into_iter()
            .map(|(role, used)| (role, used.as_secs_f64() * 1e6 / events))
            .collect();
        for (role, pid) in &self.processes {
            *figures.resident_mib.entry(*role).or_default() +=
                mebibytes(process::resident_of_tree(*pid)?);
        }
        Ok(())
    }
}

fn cpu_of(processes: &[(Role, Pid)]) -> Result<Vec<Duration>> {
    processes
        .iter()
        .map(|(_, pid)| process::cpu_of_tree(*pid))
        .collect()
}
