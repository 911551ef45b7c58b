//! Output for the developer: one line for each step, with the time it took.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// Prints a line.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    // A closed pipe must not prevent the clean-up.
    writeln!(out, "{}", line.as_ref()).ok();
    out.flush().ok();
}

/// Prints an error or a warning.
pub(crate) fn complain(message: &str) {
    // As in `say`: a closed pipe is no reason to fail.
    writeln!(std::io::stderr().lock(), "cargo dev: {message}").ok();
}

/// A step in progress; [`Step::done`] prints its line.
#[must_use = "a step prints its line when it is done"]
pub(crate) struct Step(Instant);

impl Step {
    /// Starts the clock of a step.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Prints the result and the time it took.
    pub(crate) fn done(&self, result: impl AsRef<str>) {
        say(format!("{} {}", bracketed(self.elapsed()), result.as_ref()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_line_up() {
        assert_eq!(bracketed(Duration::from_millis(1240)), "[   1.2 s]");
        assert_eq!(bracketed(Duration::from_secs(123)), "[ 123.0 s]");
    }
}
