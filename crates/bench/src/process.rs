//! CPU time and memory of processes, as Linux tells them in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};

/// A process's number.
pub(crate) type Pid = u32;

/// The CPU time, user and system, of a process and all its descendants, those that have ended
/// included as far as their parents waited for them. To 10 ms.
pub(crate) fn cpu_of_tree(root: Pid) -> Result<Duration> {
    let ticks: u64 = tree(root)?.iter().map(|(_, stat)| stat.cpu_ticks).sum();
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
            if let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) {
                nanoseconds += parse_schedstat(&text).context("schedstat has an unknown form")?;
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
    match pids[..] {
        [only] => kilobytes(only, "status", "VmRSS"),
        // One that has ended since the listing has no memory.
        _ => Ok(pids
            .iter()
            .filter_map(|pid| kilobytes(*pid, "smaps_rollup", "Pss").ok())
            .sum()),
    }
}

/// The most memory that a process has had resident, in bytes.
pub(crate) fn resident_peak(pid: Pid) -> Result<u64> {
    kilobytes(pid, "status", "VmHWM")
}

/// The process that started another.
pub(crate) fn parent_of(pid: Pid) -> Result<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} cannot be looked at"))?;
    let stat = parse_stat(&text).context("/proc/…/stat has an unknown form")?;
    Ok(stat.parent)
}

fn kilobytes(pid: Pid, file: &str, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let kilobytes = parse_kilobytes(&text, field).with_context(|| format!("{path}: no {field}"))?;
    Ok(kilobytes * 1024)
}

/// What is of interest in `/proc/…/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: Pid,
    /// Of the process and of its children that have ended, user and system.
    cpu_ticks: u64,
}

/// A process and its descendants, the process itself first.
fn tree(root: Pid) -> Result<Vec<(Pid, Stat)>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("/proc cannot be read")? {
        let name = entry.context("/proc cannot be read")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
            continue;
        };
        // A process may end between the listing and the look.
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat"))
            && let Some(stat) = parse_stat(&text)
        {
            all.insert(pid, stat);
        }
    }
    descendants(root, &all).with_context(|| format!("process {root} is gone"))
}

fn descendants(root: Pid, all: &BTreeMap<Pid, Stat>) -> Option<Vec<(Pid, Stat)>> {
    let mut found = vec![(root, *all.get(&root)?)];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at].0;
        found.extend(
            all.iter()
                .filter(|(_, stat)| stat.parent == parent)
                .map(|(pid, stat)| (*pid, *stat)),
        );
        at += 1;
    }
    Some(found)
}

/// Reads a line of `/proc/…/stat`. The name, second and in parentheses, may hold anything.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, behind_name) = line.rsplit_once(')')?;
    // From the third field (state) on.
    let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
    let number = |position: usize| fields.get(position - 3)?.parse::<u64>().ok();
    let times = [14, 15, 16, 17].map(number);
    Some(Stat {
        parent: Pid::try_from(number(4)?).ok()?,
        cpu_ticks: times.into_iter().sum::<Option<u64>>()?,
    })
}

/// The time on a CPU out of a line of `schedstat`: that, time waited, turns.
fn parse_schedstat(line: &str) -> Option<u64> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Reads a line such as `VmRSS:     1234 kB`.
fn parse_kilobytes(text: &str, field: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        Stat, cpu_of_running_threads, cpu_of_tree, descendants, own_cpu, parse_kilobytes,
        parse_schedstat, parse_stat,
    };

    const LINE: &str =
        "4242 (a (strange) name) S 17 4242 4242 0 -1 4194304 1 2 3 4 100 20 3 4 20 0 9 0 1 2 3";

    #[test]
    fn a_stat_line_is_read_whatever_the_name_holds() {
        let expected = Stat {
            parent: 17,
            cpu_ticks: 127,
        };
        assert_eq!(parse_stat(LINE), Some(expected));
        assert_eq!(parse_stat("4242 (cut"), None);
        assert_eq!(parse_stat("4242 (cut) S 17 1"), None);
    }

    #[test]
    fn memory_is_read_by_its_exact_name() {
        let text = "VmRSSX:\t 1 kB\nVmHWM:\t  5120 kB\nVmRSS:\t  4096 kB\n";
        assert_eq!(parse_kilobytes(text, "VmRSS"), Some(4096));
        assert_eq!(parse_kilobytes(text, "Pss"), None);
    }

    #[test]
    fn time_on_a_cpu_is_the_first_of_schedstat() {
        assert_eq!(parse_schedstat("48713520 1204 13\n"), Some(48_713_520));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn a_tree_holds_grandchildren_and_no_neighbours() {
        let stat = |parent| Stat {
            parent,
            cpu_ticks: 1,
        };
        let all = BTreeMap::from([
            (1, stat(0)),
            (5, stat(1)),
            (6, stat(5)),
            (7, stat(6)),
            (8, stat(1)),
        ]);
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
        assert!(cpu_of_tree(std::process::id()).is_ok());
        assert!(cpu_of_running_threads(std::process::id()).unwrap() > std::time::Duration::ZERO);
        assert!(own_cpu() > std::time::Duration::ZERO);
    }
}
