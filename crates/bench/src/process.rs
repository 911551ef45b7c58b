//! CPU time and memory of processes, as Linux tells them in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use procfs_core::FromRead as _;
use procfs_core::process::{Schedstat, SmapsRollup, Stat, Status};
use rustix::time::{ClockId, clock_gettime};

/// A process's number.
pub(crate) type Pid = u32;

/// The CPU time, user and system, of a process and all its descendants, those that have ended
/// included as far as their parents waited for them. To 10 ms.
pub(crate) fn cpu_of_tree(root: Pid) -> Result<Duration> {
    let ticks: u64 = tree(root)?
        .iter()
        .map(|(_, process)| process.cpu_ticks)
        .sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_nanos(
        ticks * (1_000_000_000 / per_second.max(1)),
    ))
}

/// The CPU time of the threads that a process and its descendants have now. To the nanosecond, but
/// without what ended threads and processes used.
pub(crate) fn cpu_of_running_threads(root: Pid) -> Result<Duration> {
    let mut nanoseconds = 0;
    for (pid, _) in tree(root)? {
        // One that has ended since the listing has no threads.
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for thread in threads.flatten() {
            if let Ok(schedstat) = Schedstat::from_file(thread.path().join("schedstat")) {
                nanoseconds += schedstat.sum_exec_runtime;
            }
        }
    }
    // No process gets this far without any.
    ensure!(nanoseconds > 0, "this kernel keeps no /proc/…/schedstat");
    Ok(Duration::from_nanos(nanoseconds))
}

/// The CPU time of all threads of this process.
pub(crate) fn own_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

/// Resident memory of a process and its descendants in bytes. Where there are several, memory that
/// they share is counted once.
pub(crate) fn resident_of_tree(root: Pid) -> Result<u64> {
    let pids: Vec<Pid> = tree(root)?.iter().map(|(pid, _)| *pid).collect();
    if let [only] = pids[..] {
        let kibibytes = status(only)?.vmrss;
        return Ok(kibibytes.context("Linux tells no resident memory")? * 1024);
    }
    // One that has ended since the listing has no memory.
    Ok(pids.iter().filter_map(|pid| proportional(*pid)).sum())
}

/// The most memory that a process has had resident, in bytes.
pub(crate) fn resident_peak(pid: Pid) -> Result<u64> {
    let kibibytes = status(pid)?.vmhwm;
    Ok(kibibytes.context("Linux tells no peak of resident memory")? * 1024)
}

/// The process that started another.
pub(crate) fn parent_of(pid: Pid) -> Result<Pid> {
    Ok(look_at(pid)?.parent)
}

fn status(pid: Pid) -> Result<Status> {
    Ok(Status::from_file(format!("/proc/{pid}/status"))?)
}

/// Resident memory in bytes, of which what processes share is divided among them.
fn proportional(pid: Pid) -> Option<u64> {
    let smaps = SmapsRollup::from_file(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let maps = smaps.memory_map_rollup.0;
    maps.first()?.extension.map.get("Pss").copied()
}

/// What is of interest of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: Pid,
    /// Of the process and of its children that have ended, user and system.
    cpu_ticks: u64,
}

fn look_at(pid: Pid) -> Result<Process> {
    let stat = Stat::from_file(format!("/proc/{pid}/stat"))?;
    let of_children = u64::try_from(stat.cutime + stat.cstime)?;
    Ok(Process {
        parent: Pid::try_from(stat.ppid)?,
        cpu_ticks: stat.utime + stat.stime + of_children,
    })
}

/// A process and its descendants, the process itself first.
fn tree(root: Pid) -> Result<Vec<(Pid, Process)>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("/proc cannot be read")? {
        let name = entry.context("/proc cannot be read")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
            continue;
        };
        // A process may end between the listing and the look.
        if let Ok(process) = look_at(pid) {
            all.insert(pid, process);
        }
    }
    descendants(root, &all).with_context(|| format!("process {root} is gone"))
}

fn descendants(root: Pid, all: &BTreeMap<Pid, Process>) -> Option<Vec<(Pid, Process)>> {
    let mut found = vec![(root, *all.get(&root)?)];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at].0;
        found.extend(
            all.iter()
                .filter(|(_, process)| process.parent == parent)
                .map(|(pid, process)| (*pid, *process)),
        );
        at += 1;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        Process, cpu_of_running_threads, cpu_of_tree, descendants, own_cpu, resident_of_tree,
        resident_peak,
    };

    #[test]
    fn a_tree_holds_grandchildren_and_no_neighbours() {
        let of = |parent| Process {
            parent,
            cpu_ticks: 1,
        };
        let all = BTreeMap::from([(1, of(0)), (5, of(1)), (6, of(5)), (7, of(6)), (8, of(1))]);
        let pids = |root| -> Option<Vec<u32>> {
            Some(
                descendants(root, &all)?
                    .iter()
                    .map(|(pid, _)| *pid)
                    .collect(),
            )
        };
        assert_eq!(pids(5), Some(vec![5, 6, 7]));
        assert_eq!(pids(9), None);
    }

    #[test]
    fn this_process_is_found() {
        let this = std::process::id();
        assert!(cpu_of_tree(this).is_ok());
        assert!(cpu_of_running_threads(this).unwrap() > std::time::Duration::ZERO);
        let (resident, peak) = (
            resident_of_tree(this).unwrap(),
            resident_peak(this).unwrap(),
        );
        assert!(0 < resident && resident <= peak, "{resident} of {peak}");
        assert!(own_cpu() > std::time::Duration::ZERO);
    }
}
