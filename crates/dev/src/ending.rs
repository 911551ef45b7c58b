//! Ending a process: politely, with patience, then not.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::interrupt;

/// How long a killed process may take to disappear.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Sends each signal in turn, waiting as long as is said beside it, and at last SIGKILL, until
/// `gone` says so. Returns whether it is gone.
pub(crate) fn end(
    pid: u32,
    signals: &[(Signal, Duration)],
    mut gone: impl FnMut() -> bool,
) -> bool {
    let last = (Signal::KILL, KILL_PATIENCE);
    for &(signal, patience) in signals.iter().chain([&last]) {
        if gone() {
            return true;
        }
        send(pid, signal);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if gone() {
                return true;
            }
            interrupt::pause_regardless();
        }
    }
    gone()
}

/// Ends a child and everything it started: cargo does not take the running tests with it.
pub(crate) fn end_tree(child: &mut Child, patience: Duration) {
    let mut tree = descendants(child.id());
    for &pid in &tree {
        send(pid, Signal::TERM);
    }
    end(child.id(), &[(Signal::TERM, patience)], || {
        !matches!(child.try_wait(), Ok(None))
    });
    // What is left has lost its parent, so it is found by what was seen before; a process number
    // is not given out again within these few seconds.
    let left: Vec<u32> = descendants_of_all(&tree);
    tree.extend(left);
    for pid in tree {
        send(pid, Signal::KILL);
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // The one possible failure that matters, a process already gone, is what is wanted.
        kill_process(pid, signal).ok();
    }
}

fn descendants(root: u32) -> Vec<u32> {
    descendants_of_all(&[root])
}

/// All processes below these, by the parent each one names.
fn descendants_of_all(roots: &[u32]) -> Vec<u32> {
    let parents = parents();
    let mut found: Vec<u32> = Vec::new();
    let mut pending = roots.to_vec();
    while let Some(parent) = pending.pop() {
        for (&pid, _) in parents.iter().filter(|&(_, &its)| its == parent) {
            if !found.contains(&pid) && !roots.contains(&pid) {
                found.push(pid);
                pending.push(pid);
            }
        }
    }
    found
}

/// The parent of every process on the machine: from `/proc` where there is one, else from `ps`.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return parents_from_ps();
    };
    let by_stat: BTreeMap<u32, u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parent_in_stat(&stat)?))
        })
        .collect();
    if by_stat.is_empty() {
        parents_from_ps()
    } else {
        by_stat
    }
}

fn parents_from_ps() -> BTreeMap<u32, u32> {
    let output = Command::new("ps")
        .args(["-axo", "pid=,ppid="])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        return BTreeMap::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let (pid, parent) = line.trim().split_once(char::is_whitespace)?;
            Some((pid.parse().ok()?, parent.trim().parse().ok()?))
        })
        .collect()
}

/// The fourth field of `/proc/N/stat`; the second, the name, may itself hold spaces and brackets.
fn parent_in_stat(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_is_read_behind_a_difficult_name() {
        assert_eq!(parent_in_stat("42 (a) name (x) S 7 42 42 0"), Some(7));
        assert_eq!(parent_in_stat("nonsense"), None);
    }

    #[test]
    fn ending_a_tree_ends_the_grandchild() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & sleep 600 & wait"])
            .stdin(Stdio::null())
            .spawn()
            .expect("a shell is there");
        let deadline = Instant::now() + KILL_PATIENCE;
        while descendants(child.id()).len() < 2 {
            assert!(Instant::now() < deadline, "the shell started no children");
            interrupt::pause_regardless();
        }
        let below = descendants(child.id());
        end_tree(&mut child, Duration::from_secs(2));
        while parents()
            .keys()
            .any(|pid| below.contains(pid) && !is_zombie(*pid))
        {
            assert!(Instant::now() < deadline, "a grandchild is still there");
            interrupt::pause_regardless();
        }
    }

    fn is_zombie(pid: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            stat.rsplit_once(')')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
        })
    }
}
