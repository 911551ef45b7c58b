//! What recent batches tell of the next one.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the next batch is expected to repeat deliveries of known events, because the last one did. A
/// wrong guess costs time and nothing else. Shared by all commits of a worker.
#[derive(Debug, Default)]
pub struct Repeats(AtomicBool);

impl Repeats {
    pub(super) fn are_expected(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn expect(&self, expected: bool) {
        self.0.store(expected, Ordering::Relaxed);
    }
}
