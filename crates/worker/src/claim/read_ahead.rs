//! Entries that were read and wait for a batch.

use std::collections::VecDeque;

use harkara_core::lane::{LANES, Lane, shares};
use harkara_settings::WorkerSettings;
use harkara_streams::consumer_group::ClaimedEntry;

/// The bounds of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchBounds {
    /// Maximum entries.
    pub(crate) entries: usize,
    /// Maximum bytes of entries, beyond one entry of each lane.
    pub(crate) bytes: usize,
}

impl BatchBounds {
    pub(crate) fn of(settings: &WorkerSettings) -> Self {
        Self {
            entries: settings.batch_entries_max,
            bytes: settings.batch_bytes_max,
        }
    }
}

/// Claimed entries that are not yet in a batch, by lane.
#[derive(Default)]
pub(super) struct ReadAhead {
    lanes: [VecDeque<ClaimedEntry>; LANES],
    /// Their bytes.
    bytes: [usize; LANES],
}

impl ReadAhead {
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    pub(super) fn len_of(&self, lane: Lane) -> usize {
        self.lanes[lane.index()].len()
    }

    /// Whether more of a lane can be read: at most half a batch of it waits.
    pub(super) fn has_room(&self, lane: Lane, batch: BatchBounds) -> bool {
        self.len_of(lane) <= batch.entries / 2 && self.bytes[lane.index()] <= batch.bytes / 2
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    pub(super) fn push(&mut self, entry: ClaimedEntry) {
        let lane = entry.entry.lane.index();
        self.bytes[lane] += entry.bytes();
        self.lanes[lane].push_back(entry);
    }

    /// Takes a batch, shared among the lanes by weight, the highest first. Each lane's share is at least one
    /// entry, and beyond that no more than its part of the batch's bytes.
    pub(super) fn take(
        &mut self,
        bounds: BatchBounds,
        weights: [usize; LANES],
    ) -> Vec<ClaimedEntry> {
        let lens = self.lanes.each_ref().map(VecDeque::len);
        let shares = shares(bounds.entries, lens, weights);
        let n_entries: usize = shares.iter().sum();
        let mut batch = Vec::with_capacity(n_entries);
        let lanes = self.lanes.iter_mut().zip(&mut self.bytes);
        for ((lane, waiting), share) in lanes.zip(shares) {
            let bytes_max = bounds.bytes * share / n_entries.max(1);
            let mut bytes = 0;
            for at in 0..share {
                let entry_bytes = lane.front().map_or(0, ClaimedEntry::bytes);
                bytes += entry_bytes;
                if at > 0 && bytes > bytes_max {
                    break;
                }
                *waiting -= entry_bytes;
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

    use super::{BatchBounds, ClaimedEntry, ReadAhead};

    const BATCH: BatchBounds = BatchBounds {
        entries: 200,
        bytes: 4 << 20,
    };

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
        let mut read_ahead = full_of(BATCH.bytes / 2, [0, 0, 0, 5]);
        let taken: Vec<usize> = (0..5)
            .map(|_| read_ahead.take(BATCH, [8, 4, 2, 1]).len())
            .collect();
        assert_eq!(taken, [1, 1, 1, 1, 1]);
        assert!(read_ahead.is_empty());
    }

    #[test]
    fn a_lane_has_room_while_at_most_half_a_batch_of_it_waits() {
        for (bytes, n_entries, expected) in [
            (1000, 100, true),
            (1000, 101, false),
            (1 << 20, 1, true),
            (1 << 20, 3, false),
        ] {
            let mut read_ahead = full_of(bytes, [0, 0, 0, n_entries]);
            let room = Lane::ALL.map(|lane| read_ahead.has_room(lane, BATCH));
            assert_eq!(room, [true, true, true, expected], "{n_entries} of {bytes}");
            while !read_ahead.take(BATCH, [8, 4, 2, 1]).is_empty() {}
            assert!(read_ahead.has_room(Lane::Default, BATCH));
        }
    }

    #[test]
    fn large_entries_of_a_high_lane_do_not_starve_the_lower_ones() {
        let taken = full_of(100_000, [200; 4]).take(BATCH, [8, 4, 2, 1]);
        let by_lane = Lane::ALL.map(|lane| {
            let of_lane = taken.iter().filter(|claimed| claimed.entry.lane == lane);
            of_lane.count()
        });
        assert!(by_lane.is_sorted_by(|high, low| high > low), "{by_lane:?}");
        assert!(by_lane[3] > 0 && taken.len() < 60, "{by_lane:?}");
    }
}
