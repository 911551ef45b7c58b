//! The files that remember processes, so that a later command finds what an earlier one left,
//! and never touches a stranger that has been given the same process number since.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ending;
use crate::failure::{Result, While as _};
use crate::service::Kind;

/// A process as its file describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its process number.
    pub(crate) pid: u32,
    /// Texts that its command line contains, which tell it from a stranger.
    marks: Vec<String>,
}

/// Writes down a process that was just started.
pub(crate) fn write(folder: &Path, kind: Kind, pid: u32, marks: &[String]) -> Result<()> {
    let path = path(folder, kind);
    let text = format!("{pid}\n{}\n", marks.join("\n"));
    fs::write(&path, text).or_cannot(|| format!("write {}", path.display()))
}

/// Forgets a process that has ended.
pub(crate) fn remove(folder: &Path, kind: Kind) {
    // A file that stays behind is harmless: it names a process that is no more.
    fs::remove_file(path(folder, kind)).ok();
}

/// All processes remembered in a folder, dead or alive, in the order in which they are stopped.
pub(crate) fn read_all(folder: &Path) -> Vec<Remembered> {
    Kind::IN_ORDER_OF_STOPPING
        .into_iter()
        .filter_map(|kind| parse(kind, &fs::read_to_string(path(folder, kind)).ok()?))
        .collect()
}

impl Remembered {
    /// Whether the process still lives and is the one that was written down.
    pub(crate) fn is_alive(&self) -> bool {
        command_line(self.pid).is_some_and(|line| carries(&line, &self.marks))
    }

    /// Ends it if it is alive, and forgets it. Returns whether it had been alive.
    pub(crate) fn end(&self, folder: &Path) -> Result<bool> {
        let was_alive = self.is_alive();
        if was_alive && !ending::end(self.pid, &self.kind.polite_signals(), || !self.is_alive()) {
            return Err(format!(
                "{} (process {}) does not end even when killed",
                self.kind.label(),
                self.pid
            )
            .into());
        }
        remove(folder, self.kind);
        Ok(was_alive)
    }
}

fn path(folder: &Path, kind: Kind) -> PathBuf {
    folder.join(format!("{}.pid", kind.name()))
}

fn parse(kind: Kind, text: &str) -> Option<Remembered> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let marks: Vec<String> = lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    // Without a mark every process would be taken for ours.
    if marks.is_empty() {
        None
    } else {
        Some(Remembered { kind, pid, marks })
    }
}

/// The words of a living process's command line, with spaces between them: from `/proc` where
/// there is one, else from `ps`. A dead process has none, nor has a zombie.
pub(crate) fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<_> = bytes
            .split(|&byte| byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        return Some(words.join(" ")).filter(|line| !line.trim().is_empty());
    }
    let output = Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|line| !line.is_empty())
}

fn carries(command_line: &str, marks: &[String]) -> bool {
    marks
        .iter()
        .all(|mark| command_line.contains(mark.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn marks(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn file_is_read_as_written() {
        let expected = Remembered {
            kind: Kind::Redis,
            pid: 17,
            marks: marks(&["redis-server", ":16379"]),
        };
        assert_eq!(
            parse(Kind::Redis, "17\nredis-server\n:16379\n"),
            Some(expected)
        );
    }

    #[test]
    fn file_without_marks_names_nobody() {
        assert_eq!(parse(Kind::Redis, "17\n\n"), None);
        assert_eq!(parse(Kind::Redis, ""), None);
    }

    #[test]
    fn stranger_with_the_same_number_is_not_ours() {
        let ours = marks(&["redis-server", ":16379"]);
        assert!(carries("redis-server 127.0.0.1:16379", &ours));
        assert!(!carries("redis-server 127.0.0.1:6379", &ours));
        assert!(!carries("/usr/bin/vim notes", &ours));
    }

    #[test]
    fn living_process_shows_its_command_line() {
        let own = command_line(std::process::id()).expect("this test is alive");
        assert!(own.contains("harkara_dev"), "{own}");
    }

    #[test]
    fn leftover_is_ended_and_a_stranger_with_its_number_is_not() {
        let folder =
            std::env::temp_dir().join(format!("harkara-dev-pid-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // For an instant after it was started a process shows no command line.
        let bound = Instant::now() + Duration::from_secs(10);
        while !command_line(child.id()).is_some_and(|line| line.contains("sleep")) {
            assert!(Instant::now() < bound, "the child shows no command line");
            std::thread::yield_now();
        }

        write(
            &folder,
            Kind::Worker,
            child.id(),
            &marks(&["harkara-worker"]),
        )
        .unwrap();
        assert!(
            read_all(&folder)
                .iter()
                .all(|stranger| !stranger.end(&folder).unwrap())
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "the stranger was ended"
        );

        write(&folder, Kind::Worker, child.id(), &marks(&["sleep", "600"])).unwrap();
        assert!(
            read_all(&folder)
                .iter()
                .all(|leftover| leftover.end(&folder).unwrap())
        );
        assert!(child.wait().is_ok_and(|status| !status.success()));
        assert_eq!(read_all(&folder), []);
        fs::remove_dir_all(&folder).unwrap();
    }
}
