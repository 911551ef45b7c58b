//! Why a command ends early: a sentence for the developer, or the developer's own Ctrl-C.

use std::fmt::Display;

/// The end of a command before its aim.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One clear sentence with the remedy, and perhaps the last lines of a log below it.
    Said(String),
    /// Ctrl-C, or a signal to end: everything is stopped and nothing needs to be said.
    Interrupted,
}

/// The outcome of every step.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self::Said(sentence)
    }
}

impl From<&str> for Failure {
    fn from(sentence: &str) -> Self {
        Self::Said(sentence.to_owned())
    }
}

/// Adds to an error what was being done.
pub(crate) trait While<T> {
    /// The value, or a failure that reads `cannot <doing>: <error>`.
    fn or_cannot(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Display> While<T> for std::result::Result<T, E> {
    fn or_cannot(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::Said(format!("cannot {}: {error}", doing())))
    }
}
