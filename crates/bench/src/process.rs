//! CPU time and memory of processes, from `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use procfs::process::{Process, Stat, all_processes};
use rustix::time::{ClockId, clock_gettime};

/// A process id.
pub(crate) type Pid = i32;

/// The CPU time, user and system, of a process and all its descendants, including ended ones that
/// their parents have waited for. Exact to 10 ms.
pub(crate) fn cpu_of_tree(root: Pid) -> Result<Duration> {
    let mut ticks = 0;
    for stat in tree(root)? {
        ticks += stat.utime + stat.stime + u64::try_from(stat.cutime + stat.cstime)?;
    }
    let per_second = procfs::ticks_per_second().max(1);
    Ok(Duration::from_nanos(ticks * (1_000_000_000 / per_second)))
}

/// The CPU time of the running threads of a process and its descendants. Exact to the nanosecond, but
/// without that of ended threads and processes.
pub(crate) fn cpu_of_running_threads(root: Pid) -> Result<Duration> {
    let mut nanoseconds = 0;
    for stat in tree(root)? {
        // A process that has ended since the listing has no threads.
        let Ok(threads) = Process::new(stat.pid).and_then(|process| process.tasks()) else {
            continue;
        };
        let times = threads
            .flatten()
            .filter_map(|thread| thread.schedstat().ok());
        nanoseconds += times.map(|time| time.sum_exec_runtime).sum::<u64>();
    }
    // Every process has used some by now.
    ensure!(nanoseconds > 0, "this kernel keeps no /proc/…/schedstat");
    Ok(Duration::from_nanos(nanoseconds))
}

/// The CPU time of all threads of this process.
pub(crate) fn own_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

/// Resident memory of a process and its descendants, in bytes. If there are several, memory that
/// they share counts once.
pub(crate) fn resident_of_tree(root: Pid) -> Result<u64> {
    let tree = tree(root)?;
    if let [only] = &tree[..] {
        let kibibytes = Process::new(only.pid)?.status()?.vmrss;
        return Ok(kibibytes.context("no resident memory in /proc")? * 1024);
    }
    // A process that has ended since the listing has no memory.
    Ok(tree.iter().filter_map(|stat| proportional(stat.pid)).sum())
}

/// The peak of a process's resident memory, in bytes.
pub(crate) fn resident_peak(pid: Pid) -> Result<u64> {
    let kibibytes = Process::new(pid)?.status()?.vmhwm;
    Ok(kibibytes.context("no peak of resident memory in /proc")? * 1024)
}

/// The parent of a process.
pub(crate) fn parent_of(pid: Pid) -> Result<Pid> {
    Ok(Process::new(pid)?.stat()?.ppid)
}

/// Resident memory in bytes, with shared memory divided among the processes that share it.
fn proportional(pid: Pid) -> Option<u64> {
    let smaps = Process::new(pid).ok()?.smaps_rollup().ok()?;
    let maps = smaps.memory_map_rollup.0;
    maps.first()?.extension.map.get("Pss").copied()
}

/// A process and its descendants, the process itself first.
fn tree(root: Pid) -> Result<Vec<Stat>> {
    // A process may end between the listing and the reading.
    let stats = all_processes()?
        .flatten()
        .filter_map(|process| process.stat().ok());
    let mut all: BTreeMap<Pid, Stat> = stats.map(|stat| (stat.pid, stat)).collect();
    ensure!(all.contains_key(&root), "process {root} has ended");
    let parents = all.iter().map(|(pid, stat)| (*pid, stat.ppid)).collect();
    let pids = descendants(root, &parents).into_iter();
    Ok(pids.filter_map(|pid| all.remove(&pid)).collect())
}

/// `root` and its descendants, by the parent of each process.
fn descendants(root: Pid, parents: &BTreeMap<Pid, Pid>) -> Vec<Pid> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&of) = found.get(at) {
        let children = parents.iter().filter(|(_, parent)| **parent == of);
        found.extend(children.map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::hint::black_box;
    use std::time::Duration;

    use super::{
        Pid, cpu_of_running_threads, cpu_of_tree, descendants, own_cpu, resident_of_tree,
        resident_peak,
    };

    #[test]
    fn a_tree_holds_grandchildren_and_no_neighbours() {
        let parents = BTreeMap::from([(1, 0), (5, 1), (6, 5), (7, 6), (8, 1)]);
        assert_eq!(descendants(5, &parents), [5, 6, 7]);
    }

    #[test]
    fn this_process_is_found() {
        let this = Pid::try_from(std::process::id()).unwrap();
        assert!(cpu_of_tree(this).is_ok());
        assert!(cpu_of_running_threads(this).unwrap() > Duration::ZERO);
        let resident = resident_of_tree(this).unwrap();
        // Much, as the kernel's counters are only approximate.
        drop(black_box(vec![1u8; 64 << 20]));
        let peak = resident_peak(this).unwrap();
        assert!(
            0 < resident && resident + (60 << 20) < peak,
            "{resident} of {peak}"
        );
        assert!(own_cpu() > Duration::ZERO);
        assert!(cpu_of_tree(Pid::MAX).is_err());
    }
}
