//! Shows the progress of a load on a terminal; elsewhere only its beginning.

use std::io::{self, IsTerminal, Write};

use harkara_load::LoadPlan;
use harkara_operations::verification::Step;

use crate::output;

/// A line on standard error that is replaced each time.
pub(super) struct Progress {
    is_terminal: bool,
    planned: usize,
}

/// Moves the cursor to the beginning of its line and clears the line.
const CLEAR: &str = "\r\x1b[2K";

impl Progress {
    pub(super) fn new(planned: usize) -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            planned,
        }
    }

    /// Says that the first delivery goes out now: programs that break something under load wait for it.
    pub(super) fn begin(&self, seed: u64, plan: &LoadPlan) {
        self.end();
        output::note(format!(
            "Sending {} requests of {} deliveries; --seed {seed} sends the like again.",
            self.planned, plan.deliveries
        ));
    }

    pub(super) fn sending(&self, sent: &harkara_load::LoadProgress) {
        self.line(&format!(
            "sent {} of {}: {} accepted, {} refused, {} without an answer",
            sent.sent, self.planned, sent.accepted, sent.refused, sent.unanswered
        ));
    }

    pub(super) fn verifying(&self, step: Step) {
        self.line(&match step {
            Step::Settling(waiting) => {
                format!("waiting until {waiting} accepted events are processed")
            }
            Step::Comparing { done, of } => {
                format!("comparing with the database: {done} of {of} deliveries")
            }
        });
    }

    pub(super) fn end(&self) {
        self.line("");
    }

    pub(super) fn line(&self, text: &str) {
        if self.is_terminal {
            // Nobody is worse off without it.
            drop(write!(io::stderr(), "{CLEAR}{text}"));
        }
    }
}
