//! Whether to expect duplicates in the next batch.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the next batch is expected to contain duplicates, because the last one did. A wrong guess costs
/// time and nothing else. Shared by all commits of a process.
#[derive(Debug, Default)]
pub struct DuplicateHint(AtomicBool);

impl DuplicateHint {
    pub(super) fn expects_duplicates(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn expect_duplicates(&self, expected: bool) {
        self.0.store(expected, Ordering::Relaxed);
    }
}
