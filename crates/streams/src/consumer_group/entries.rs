//! Entries of the consumer group.

use std::time::Instant;

use bytes::Bytes;
use harkara_core::entry::{EntryId, EntryRef};

/// An entry that this consumer has claimed.
#[derive(Debug)]
pub struct ClaimedEntry {
    /// The entry.
    pub entry: EntryRef,
    /// Its fields in order: name and value.
    pub fields: Vec<(Bytes, Bytes)>,
    /// When this consumer received it.
    pub claimed_at: Instant,
}

impl ClaimedEntry {
    /// The size of its fields.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}

/// A pending entry and its number of claims.
#[derive(Clone, Copy, Debug)]
pub struct PendingEntry {
    /// The entry's id.
    pub id: EntryId,
    /// How often it was claimed.
    pub claims: u64,
}
