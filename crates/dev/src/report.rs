//! What is told to the developer: one line a step, with the time it took.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many of a log's last lines are shown when its process fails.
const TAIL_LINES: usize = 15;
/// How much of a log's end is read to find them.
const TAIL_BYTES: u64 = 16 * 1024;

/// Prints one line of progress or of an answer.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    // Nobody may be reading any more (a closed pipe), and that must not stop the clean-up.
    writeln!(out, "{}", line.as_ref()).ok();
    out.flush().ok();
}

/// Prints why the command failed, apart from its output.
pub(crate) fn complain(sentence: &str) {
    // As in `say`: a closed pipe is no reason to fail.
    writeln!(std::io::stderr().lock(), "cargo dev: {sentence}").ok();
}

/// A step under way; [`Step::done`] prints its line.
#[must_use = "a step prints its line when it is done"]
pub(crate) struct Step(Instant);

impl Step {
    /// Starts the clock of a step.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Prints what has become true and how long it took.
    pub(crate) fn done(&self, fact: impl AsRef<str>) {
        say(format!("{} {}", bracketed(self.0.elapsed()), fact.as_ref()));
    }

    /// The time since the start of the step.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// `[   1.2 s]`, of the same width for all durations below 1000 seconds.
fn bracketed(duration: Duration) -> String {
    format!("[{:>6.1} s]", duration.as_secs_f64())
}

/// The last lines of a log under its name, indented, to be put below a failure's sentence.
pub(crate) fn tail(log: &Path) -> String {
    match last_lines(log) {
        Ok(lines) if lines.is_empty() => format!("\n  ({} is empty)", log.display()),
        Ok(lines) => {
            let shown: Vec<String> = lines.iter().map(|line| format!("\n  | {line}")).collect();
            format!("\n  the end of {}:{}", log.display(), shown.concat())
        }
        Err(error) => format!("\n  ({} cannot be read: {error})", log.display()),
    }
}

fn last_lines(log: &Path) -> std::io::Result<Vec<String>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines[first..].iter().map(|&line| line.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_line_up() {
        assert_eq!(bracketed(Duration::from_millis(1240)), "[   1.2 s]");
        assert_eq!(bracketed(Duration::from_secs(123)), "[ 123.0 s]");
    }
}
