//! Stops a child with everything that it started: cargo does not stop the tests that it runs.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harkara_launcher::send;
use rustix::process::Signal;

/// Asks a child and its descendants to end, and kills what is left after `patience`.
pub(crate) fn stop(child: &mut Child, patience: Duration) {
    let mut tree = descendants(&[child.id()]);
    let send_all = |tree: &[u32], signal| {
        for &id in tree {
            // It fails only for processes that have ended.
            send(id, signal).ok();
        }
    };
    send_all(&tree, Signal::TERM);
    harkara_launcher::stop(child.id(), &[(Signal::TERM, patience)], || {
        !matches!(child.try_wait(), Ok(None))
    });
    // What is left has lost its parent, so it is found by its earlier place in the tree. The system does not
    // reuse a process id within seconds.
    tree.extend(descendants(&tree));
    send_all(&tree, Signal::KILL);
}

/// All processes below these.
fn descendants(roots: &[u32]) -> Vec<u32> {
    let parents = parents();
    let mut found = roots.to_vec();
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        let children = parents.iter().filter(|&(_, &its)| its == parent);
        let new = children.filter(|(id, _)| !found.contains(id));
        let new: Vec<u32> = new.map(|(&id, _)| id).collect();
        found.extend(new);
        at += 1;
    }
    found.split_off(roots.len())
}

/// The parent of every process on the machine.
fn parents() -> BTreeMap<u32, u32> {
    if !cfg!(target_os = "linux") {
        return parents_from_ps();
    }
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            Some((id, parent_in_stat(&stat)?))
        })
        .collect()
}

fn parents_from_ps() -> BTreeMap<u32, u32> {
    let output = Command::new("ps")
        .args(["-axo", "pid=,ppid="])
        .stdin(Stdio::null())
        .output();
    let table = output.map_or_else(|_| Vec::new(), |output| output.stdout);
    String::from_utf8_lossy(&table)
        .lines()
        .filter_map(|line| {
            let mut ids = line.split_whitespace().map(|id| id.parse().ok());
            Some((ids.next()??, ids.next()??))
        })
        .collect()
}

/// The fourth field of `/proc/N/stat`; the second, the name, may itself contain spaces and brackets.
fn parent_in_stat(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Instant;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + BOUND;
        while !condition() {
            assert!(Instant::now() < deadline, "timed out");
            sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn parent_follows_the_name() {
        assert_eq!(parent_in_stat("42 (a) name (x) S 7 42 42 0"), Some(7));
        assert_eq!(parent_in_stat("nonsense"), None);
    }

    #[test]
    fn both_sources_agree() {
        let id = std::process::id();
        if let Some(parent) = parents_from_ps().get(&id) {
            assert_eq!(parents().get(&id), Some(parent));
        }
    }

    #[test]
    fn grandchildren_end_with_the_tree() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & sleep 600 & wait"])
            .stdin(Stdio::null())
            .spawn()
            .expect("there is a shell");
        wait_until(|| descendants(&[child.id()]).len() == 2);
        let below = descendants(&[child.id()]);
        stop(&mut child, Duration::from_secs(2));
        wait_until(|| below.iter().all(|&id| has_ended(id)));
    }

    fn has_ended(id: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // A zombie waits for whoever inherited it.
        stat.rsplit_once(')')
            .is_none_or(|(_, rest)| rest.starts_with(" Z"))
    }
}
