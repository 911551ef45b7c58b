//! Entries that were read and wait for a batch.

use std::collections::VecDeque;

use harkara_core::lane::{LANES, Lane, shares};
use harkara_streams::consumer_group::ClaimedEntry;

/// Maximum bytes of entries, or of bodies, in one transaction: two thousand events of usual size.
pub(crate) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Claimed entries that are not yet in a batch, by lane.
#[derive(Default)]
pub(super) struct ReadAhead([VecDeque<ClaimedEntry>; LANES]);

impl ReadAhead {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }

    pub(super) fn len_of(&self, lane: Lane) -> usize {
        self.0[lane.index()].len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    pub(super) fn push(&mut self, entry: ClaimedEntry) {
        self.0[entry.entry.lane.index()].push_back(entry);
    }

    /// Takes a batch, shared among the lanes by weight, the highest first. Each lane's share is at least one
    /// entry, and beyond that no more than its part of [`BATCH_BYTES_MAX`].
    pub(super) fn take(
        &mut self,
        entries_max: usize,
        weights: [usize; LANES],
    ) -> Vec<ClaimedEntry> {
        let shares = shares(entries_max, self.0.each_ref().map(VecDeque::len), weights);
        let n_entries: usize = shares.iter().sum();
        let mut batch = Vec::with_capacity(n_entries);
        for (lane, share) in self.0.iter_mut().zip(shares) {
            let bytes_max = BATCH_BYTES_MAX * share / n_entries.max(1);
            let mut bytes = 0;
            for at in 0..share {
                bytes += lane.front().map_or(0, ClaimedEntry::bytes);
                if at > 0 && bytes > bytes_max {
                    break;
                }
                batch.extend(lane.pop_front());
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use harkara_core::entry::{EntryId, EntryRef};
    use harkara_core::lane::Lane;

    use super::{BATCH_BYTES_MAX, ClaimedEntry, ReadAhead};

    fn full_of(bytes: usize, per_lane: [usize; 4]) -> ReadAhead {
        let mut read_ahead = ReadAhead::default();
        for (lane, n_entries) in Lane::ALL.into_iter().zip(per_lane) {
            for sequence in 0..n_entries {
                let id = EntryId::parse(&format!("1-{sequence}")).unwrap();
                read_ahead.push(ClaimedEntry {
                    entry: EntryRef { lane, id },
                    fields: vec![(Bytes::from_static(b"body"), Bytes::from(vec![0; bytes]))],
                    claimed_at: Instant::now(),
                });
            }
        }
        read_ahead
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_never_empty() {
        let mut read_ahead = full_of(BATCH_BYTES_MAX / 2, [0, 0, 0, 5]);
        let taken: Vec<usize> = (0..5)
            .map(|_| read_ahead.take(200, [8, 4, 2, 1]).len())
            .collect();
        assert_eq!(taken, [1, 1, 1, 1, 1]);
        assert!(read_ahead.is_empty());
    }

    #[test]
    fn large_entries_of_a_high_lane_do_not_starve_the_lower_ones() {
        let taken = full_of(100_000, [200; 4]).take(200, [8, 4, 2, 1]);
        let by_lane = Lane::ALL.map(|lane| {
            let of_lane = taken.iter().filter(|claimed| claimed.entry.lane == lane);
            of_lane.count()
        });
        assert!(by_lane.is_sorted_by(|high, low| high > low), "{by_lane:?}");
        assert!(by_lane[3] > 0 && taken.len() < 60, "{by_lane:?}");
    }
}
