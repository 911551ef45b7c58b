//! Fresh deliveries: one reader on the four lanes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::lane::{LANES, Lane, shares};
use harkara_core::retry::backoff;
use harkara_runtime::admin::Progress;
use harkara_runtime::clock;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::{RedisSettings, WorkerSettings};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

use crate::batch_processor::BatchProcessor;
use crate::decode;
use crate::spans::BatchTimes;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::{self, ClaimedEntry};

/// Wait before reading again after Redis failed, and the longest such wait.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What the size of a read is divided by after one that failed.
const SHRINK_BY: usize = 4;

/// Good reads after which a read that had to be made smaller has its full size again.
const GROWTH_STEPS: usize = 32;

/// Entries decoded before others have a turn on the worker's one thread: a fraction of a millisecond. A
/// whole batch at once would let PostgreSQL wait for the next statement of another batch.
const DECODED_AT_ONCE: usize = 32;

/// How often a loop that waits for a permit shows that it is alive.
const TICK: Duration = Duration::from_secs(1);

/// Reads the lanes and sends batches down the processor.
pub(crate) struct Claimer {
    pub(crate) processor: Arc<BatchProcessor>,
    pub(crate) redis: RedisSettings,
    pub(crate) settings: WorkerSettings,
    pub(crate) in_flight: TaskTracker,
    pub(crate) progress: Progress,
}

/// The reader's connection, and how its reads go.
struct Reader {
    connection: Option<consumer_group::Reader>,
    /// Most entries of a lane in one read.
    entries_max: usize,
    /// Reads that failed in a row.
    failures: u32,
    /// Whether a lane gave its last read as much as was asked for, so that more waits in its stream.
    left_more: [bool; LANES],
}

/// Entries claimed and not yet in a batch, by lane.
#[derive(Default)]
struct Waiting([VecDeque<ClaimedEntry>; LANES]);

impl Claimer {
    /// Runs until told to stop; what it had claimed by then still goes down the processor.
    ///
    /// While the permits are all in use it has the next batch read already. Once there is a permit it
    /// reads again, so that a higher lane never waits behind a batch that was read before it.
    pub(crate) async fn run(self, stop: Shutdown) {
        let mut reader = Reader {
            connection: None,
            entries_max: self.settings.batch_entries_max,
            failures: 0,
            left_more: [false; LANES],
        };
        let mut waiting = Waiting::default();
        let mut left_at: Option<Instant> = None;
        loop {
            if waiting.is_empty() {
                if stop.is_requested() {
                    return;
                }
                self.progress.touch();
                if let Err(error) = self.fill(&mut reader, &mut waiting).await {
                    self.recover(&error, reader.failures, &stop).await;
                }
                continue;
            }
            if let Some(left_at) = left_at
                && !reader.left_more.contains(&true)
                && waiting.len() < self.settings.batch_entries_max
            {
                self.gather(left_at, &stop).await;
            }
            let permit = self.permit().await;
            // What has come meanwhile. If that cannot be read, what waits is not to wait for it.
            if !stop.is_requested()
                && let Err(error) = self.fill(&mut reader, &mut waiting).await
            {
                tracing::debug!(%error, "What came meanwhile could not be read.");
            }
            left_at = Some(Instant::now());
            let batch = waiting.take(self.settings.batch_entries_max, self.settings.lane_weights);
            self.send(batch, permit);
        }
    }

    /// Waits until `worker.gather_ms` have passed since the last batch left: a batch costs one or
    /// two milliseconds of CPU time besides its events. The first delivery after a quiet time does not wait, nor
    /// does a backlog.
    async fn gather(&self, left_at: Instant, stop: &Shutdown) {
        let remaining = self.settings.gather.saturating_sub(left_at.elapsed());
        if !remaining.is_zero() {
            stop.sleep(remaining).await;
        }
    }

    async fn fill(&self, reader: &mut Reader, waiting: &mut Waiting) -> Result<(), GroupError> {
        let full = self.settings.batch_entries_max;
        let read = self.read(reader, waiting).await;
        if read.is_ok() {
            reader.failures = 0;
            reader.entries_max = (reader.entries_max + full.div_ceil(GROWTH_STEPS)).min(full);
        } else {
            reader.connection = None;
            reader.left_more = [false; LANES];
            reader.failures += 1;
            // An answer that is too large to come in time must not be asked for again.
            reader.entries_max = (reader.entries_max / SHRINK_BY).max(1);
        }
        read
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                permit = self.processor.permit() => {
                    self.progress.touch();
                    return permit;
                }
                _ = ticks.tick() => self.progress.touch(),
            }
        }
    }

    /// Reads the lanes of which at most half a batch waits, in one command. Only while nothing waits at
    /// all does the read block. Of no lane more than a batch ever waits.
    async fn read(&self, reader: &mut Reader, waiting: &mut Waiting) -> Result<(), GroupError> {
        let full = self.settings.batch_entries_max;
        let waiting_of = |lane: &Lane| waiting.0[lane.index()].len();
        let lanes: Vec<Lane> = Lane::ALL
            .into_iter()
            .filter(|lane| waiting_of(lane) <= full / 2)
            .collect();
        let Some(most_waiting) = lanes.iter().map(waiting_of).max() else {
            return Ok(());
        };
        let entries_max = reader.entries_max.min(full - most_waiting);
        let connection = match &mut reader.connection {
            Some(connection) => connection,
            none => none.insert(
                consumer_group::Reader::connect(&self.redis, self.settings.read_wait).await?,
            ),
        };
        let block = waiting.is_empty().then_some(self.settings.read_wait);
        let claimed = self
            .processor
            .group
            .read(connection, &lanes, entries_max, block)
            .await?;
        self.processor
            .held
            .add_waiting(claimed.iter().map(|claimed| claimed.entry));
        for lane in &lanes {
            let of_lane = claimed.iter().filter(|claimed| claimed.entry.lane == *lane);
            reader.left_more[lane.index()] = of_lane.count() >= entries_max;
        }
        for entry in claimed {
            waiting.0[entry.entry.lane.index()].push_back(entry);
        }
        Ok(())
    }

    async fn recover(&self, error: &GroupError, failures: u32, stop: &Shutdown) {
        if matches!(error, GroupError::NoGroup) {
            match self.processor.group.ensure().await {
                Ok(created) => {
                    if created > 0 {
                        self.processor.counters.groups_recreated.inc_by(created);
                        tracing::error!(
                            groups = created,
                            "The consumer group was gone: Redis lost its data, or someone deleted it. Created anew from the first entry."
                        );
                        return;
                    }
                    // Another worker was first, or there are two servers behind one name: not in a hurry.
                    tracing::info!("The consumer group was gone and is there again.");
                }
                Err(error) => tracing::warn!(%error, "The consumer group could not be created."),
            }
        } else {
            tracing::warn!(%error, failures, "The lanes could not be read.");
        }
        let pause = backoff(WAIT_FIRST, WAIT_MAX, failures, rand::random());
        stop.sleep(pause).await;
    }

    fn send(&self, batch: Vec<ClaimedEntry>, permit: OwnedSemaphorePermit) {
        if batch.is_empty() {
            return;
        }
        let processor = self.processor.clone();
        let holding = processor
            .held
            .until_dropped(batch.iter().map(|entry| entry.entry).collect());
        self.in_flight.spawn(async move {
            let _holding = holding;
            let taken_up = Instant::now();
            let claimed_at = batch.first().map_or(taken_up, |entry| entry.claimed_at);
            let now = clock::now();
            let mut records = Vec::with_capacity(batch.len());
            for part in batch.chunks(DECODED_AT_ONCE) {
                let decoded = part
                    .iter()
                    .map(|entry| decode::entry(entry, &processor.retries, now));
                records.extend(decoded);
                tokio::task::yield_now().await;
            }
            let trail = BatchTimes::decoded(claimed_at, taken_up);
            processor.take(records, trail).await;
            processor.counters.batch_took(taken_up.elapsed());
            drop(permit);
        });
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    /// Takes a batch, shared among the lanes by weight, the highest first. Each lane's share is at least one
    /// entry, and beyond that no more than its part of [`BATCH_BYTES_MAX`].
    fn take(&mut self, entries_max: usize, weights: [usize; LANES]) -> Vec<ClaimedEntry> {
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

/// Most bytes of entries, or of bodies, in one transaction: two thousand events of usual size.
pub(crate) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use harkara_core::entry::{EntryId, EntryRef};
    use harkara_core::lane::Lane;

    use super::{BATCH_BYTES_MAX, ClaimedEntry, Waiting};

    fn full_of(bytes: usize, per_lane: [usize; 4]) -> Waiting {
        let mut waiting = Waiting::default();
        for (lane, n_entries) in Lane::ALL.into_iter().zip(per_lane) {
            for sequence in 0..n_entries {
                let entry = EntryRef {
                    lane,
                    id: EntryId::parse(&format!("1-{sequence}")).unwrap(),
                };
                let fields = vec![(Bytes::from_static(b"body"), Bytes::from(vec![0; bytes]))];
                waiting.0[lane.index()].push_back(ClaimedEntry {
                    entry,
                    fields,
                    claimed_at: Instant::now(),
                });
            }
        }
        waiting
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_never_empty() {
        let mut waiting = full_of(BATCH_BYTES_MAX / 2, [0, 0, 0, 5]);
        let taken: Vec<usize> = (0..5)
            .map(|_| waiting.take(200, [8, 4, 2, 1]).len())
            .collect();
        assert_eq!(taken, [1, 1, 1, 1, 1]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn large_entries_of_a_high_lane_do_not_starve_the_lower_ones() {
        let mut waiting = full_of(100_000, [200; 4]);
        let taken = waiting.take(200, [8, 4, 2, 1]);
        let of = |lane| {
            taken
                .iter()
                .filter(|claimed| claimed.entry.lane == lane)
                .count()
        };
        let by_lane = Lane::ALL.map(of);
        assert!(by_lane.is_sorted_by(|high, low| high > low), "{by_lane:?}");
        assert!(by_lane[3] > 0 && taken.len() < 60, "{by_lane:?}");
    }
}
