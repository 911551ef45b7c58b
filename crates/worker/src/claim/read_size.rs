//! How many entries a read asks for.

use harkara_core::lane::LANES;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::ClaimedEntry;

use super::read_ahead::BatchBounds;

/// A failed read divides the size of the next one by this.
const SHRINK_BY: usize = 4;

/// Successful reads after which a shrunk read has its full size again.
const GROWTH_STEPS: usize = 32;

/// The next entries may be so many times as large as the last ones before their reply is too large.
const ROOM: usize = 2;

/// The bytes of a usual entry: less is not known before the first read.
const USUAL_BYTES: usize = 2 * 1024;

/// The bytes of an entry after a reply that was too large. The next read is larger again if its entries are not.
const LARGE_BYTES: usize = 1024 * 1024;

/// Adapts the size of reads to what Redis can answer in time, and to how large entries are.
///
/// Redis bounds a reply in entries, not in bytes. A read asks for as many entries of each lane as have half the
/// bytes of a batch, if they are like the ones before.
pub(super) struct ReadSize {
    batch: BatchBounds,
    /// Maximum entries that Redis can answer in time.
    entries_max: usize,
    /// Bytes of an entry, as far as known.
    entry_bytes: usize,
}

impl ReadSize {
    pub(super) fn new(batch: BatchBounds) -> Self {
        Self {
            batch,
            entries_max: batch.entries,
            entry_bytes: USUAL_BYTES,
        }
    }

    /// Maximum entries of each lane in the next read.
    pub(super) fn entries(&self) -> usize {
        let fit = self.batch.bytes / ROOM / self.entry_bytes;
        fit.clamp(1, self.entries_max)
    }

    /// Maximum bytes of a reply with so many entries of each lane: each lane may have the bytes of a batch. `None`
    /// for a single entry, which must be read whatever its size.
    pub(super) fn reply_bytes(&self, entries: usize) -> Option<usize> {
        (entries > 1).then_some(self.batch.bytes * LANES)
    }

    /// After a successful read: takes the mean of the lane with the largest entries. Larger ones count at once,
    /// smaller ones by halves, so that a few small ones among large ones change little.
    pub(super) fn succeeded(&mut self, claimed: &[ClaimedEntry]) {
        let growth = self.batch.entries.div_ceil(GROWTH_STEPS);
        self.entries_max = (self.entries_max + growth).min(self.batch.entries);
        let lanes = claimed.chunk_by(|one, other| one.entry.lane == other.entry.lane);
        let means = lanes.map(|of_lane| {
            let bytes: usize = of_lane.iter().map(ClaimedEntry::bytes).sum();
            bytes / of_lane.len()
        });
        let least = USUAL_BYTES.max(self.entry_bytes / 2);
        if let Some(largest) = means.max() {
            self.entry_bytes = largest.max(least);
        }
    }

    pub(super) fn failed(&mut self, error: &GroupError) {
        // An answer that was too large, or too large to arrive in time, must not be requested again.
        if matches!(error, GroupError::ReplyTooLarge { .. }) {
            self.entry_bytes = LARGE_BYTES.max(self.entry_bytes * SHRINK_BY);
        } else {
            self.entries_max = (self.entries_max / SHRINK_BY).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use harkara_core::entry::{EntryId, EntryRef};
    use harkara_core::lane::Lane;

    use super::*;

    const BATCH: BatchBounds = BatchBounds {
        entries: 400,
        bytes: 4 << 20,
    };

    const TOO_LARGE: GroupError = GroupError::ReplyTooLarge {
        operation: "XREADGROUP",
    };

    /// Entries of a lane with so many bytes each.
    fn entries(lane: Lane, bytes: usize, n_entries: usize) -> Vec<ClaimedEntry> {
        let entry = |sequence| ClaimedEntry {
            entry: EntryRef {
                lane,
                id: EntryId::parse(&format!("1-{sequence}")).unwrap(),
            },
            fields: vec![(Bytes::new(), Bytes::from(vec![0; bytes]))],
            claimed_at: Instant::now(),
        };
        (0..n_entries).map(entry).collect()
    }

    #[test]
    fn reads_of_usual_entries_have_the_size_of_a_batch() {
        let mut size = ReadSize::new(BATCH);
        assert_eq!(size.entries(), 400);
        for bytes in [100, 2_000, 5_000] {
            size.succeeded(&entries(Lane::Default, bytes, 400));
            assert_eq!(size.entries(), 400, "{bytes}");
        }
        size.succeeded(&[]);
        assert_eq!(size.entries(), 400);
    }

    #[test]
    fn large_entries_shrink_the_next_read_and_small_ones_grow_it_again() {
        let mut size = ReadSize::new(BATCH);
        let mut mixed = entries(Lane::Critical, 1 << 20, 2);
        mixed.extend(entries(Lane::Default, 1000, 300));
        size.succeeded(&mixed);
        assert_eq!(size.entries(), 2);
        let grown: Vec<usize> = (0..7)
            .map(|_| {
                size.succeeded(&entries(Lane::Default, 1000, 4));
                size.entries()
            })
            .collect();
        assert_eq!(grown, [4, 8, 16, 32, 64, 128, 256]);
    }

    #[test]
    fn entries_larger_than_a_batch_are_read_one_by_one_without_a_bound() {
        let mut size = ReadSize::new(BATCH);
        size.succeeded(&entries(Lane::Default, 9 << 20, 1));
        assert_eq!(size.entries(), 1);
        assert_eq!(size.reply_bytes(1), None);
        assert_eq!(size.reply_bytes(2), Some(16 << 20));
    }

    #[test]
    fn a_reply_that_was_too_large_is_not_asked_for_again() {
        let mut size = ReadSize::new(BATCH);
        let after: Vec<usize> = (0..3)
            .map(|_| {
                size.failed(&TOO_LARGE);
                size.entries()
            })
            .collect();
        assert_eq!(after, [2, 1, 1]);
    }
}
