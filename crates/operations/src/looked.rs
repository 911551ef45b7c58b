//! How far a walk through the ledger has come.

use chrono::{DateTime, Utc};
use harkara_storage::ledger::Stretch;

/// What a walk has looked at, from the newest row on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many rows; none if an index led to the result.
    pub rows: u64,
    /// The time of the oldest of them.
    pub back_to: Option<DateTime<Utc>>,
    /// Whether there was nothing else to look at, or no need to.
    pub is_all: bool,
}

impl Looked {
    pub(crate) fn add(&mut self, stretch: &Stretch) {
        self.rows += stretch.rows;
        self.back_to = Some(stretch.from);
        self.is_all = stretch.is_last;
    }
}
