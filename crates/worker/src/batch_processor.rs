//! The pipeline of every batch, whatever its source: decode, commit (which projects), acknowledge.

use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::entry::EntryRef;
use harkara_core::retry::RetryPolicy;
use harkara_runtime::clock;
use harkara_storage::record::{ClaimedEvent, EventRecord, Verdict};
use harkara_streams::consumer_group::ClaimedEntry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acknowledge::Acknowledgements;
use crate::active_claims::ActiveClaims;
use crate::committer::{Commit, Committer, NotCommitted, leased};
use crate::decode;
use crate::failure_log::FailureLog;
use crate::metrics::Counters;
use crate::spans::{BatchSpans, BatchTimes};
use crate::unavailable_tables::UnavailableTables;
use crate::unknown_endpoints::UnknownEndpoints;

/// Entries decoded before other tasks have a turn on the worker's one thread: a fraction of a millisecond.
/// With a whole batch, PostgreSQL would wait for the next statement of another batch.
const DECODED_PER_TURN: usize = 32;

/// Longest time spent on releasing leased rows after the stop deadline.
const RELEASE_BOUND: Duration = Duration::from_millis(500);

/// Bounds of the wait of an event whose own row is locked or damaged, or whose statement takes too long: it waits
/// as long again as it has waited already, since each attempt costs the other events of its batch time.
const STUCK_WAIT_MIN: Duration = Duration::from_secs(10);
const STUCK_WAIT_MAX: Duration = Duration::from_mins(5);

/// Events of a batch whose rows are damaged, after which the whole table counts as unavailable.
const DAMAGED_MAX: usize = 3;

pub(crate) struct BatchProcessor {
    /// One for each batch in flight.
    pub(crate) permits: Arc<Semaphore>,
    /// Batches in tasks of their own, which a shutdown waits for even if the loop that sent them has ended.
    pub(crate) in_flight: TaskTracker,
    pub(crate) retries: RetryPolicy,
    pub(crate) claims: Arc<ActiveClaims>,
    pub(crate) unknown_endpoints: UnknownEndpoints,
    pub(crate) committer: Committer,
    pub(crate) unavailable: UnavailableTables,
    pub(crate) acknowledgements: Acknowledgements,
    pub(crate) counters: Counters,
    pub(crate) failures: FailureLog,
    pub(crate) spans: BatchSpans,
    /// Cancelled at the stop deadline: batches in flight then stay pending.
    pub(crate) abandon: CancellationToken,
}

impl BatchProcessor {
    /// Waits for permission to have a batch in flight, first come, first served. A batch keeps its permit
    /// while PostgreSQL is unavailable, so that the worker claims nothing more.
    pub(crate) async fn permit(&self) -> OwnedSemaphorePermit {
        let permits = self.permits.clone();
        permits
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Processes claimed stream entries. Like all of these functions it returns when every event is
    /// committed or left to other workers, or when the stop deadline has passed; an acknowledgement that Redis does not take soon goes
    /// on by itself.
    pub(crate) async fn entries(&self, entries: Vec<ClaimedEntry>) {
        let started = Instant::now();
        let Some(claimed_at) = entries.first().map(|entry| entry.claimed_at) else {
            return;
        };
        let now = clock::now();
        let mut records = Vec::with_capacity(entries.len());
        for part in entries.chunks(DECODED_PER_TURN) {
            let decoded = part
                .iter()
                .map(|entry| decode::entry(entry, &self.retries, now));
            records.extend(decoded);
            tokio::task::yield_now().await;
        }
        let times = BatchTimes::decoded(claimed_at, started);
        self.process(records, times).await;
    }

    /// Stores a stream entry as a dead letter because it was claimed so often.
    pub(crate) async fn dead_letter(&self, entry: &ClaimedEntry, claims: u64) {
        let record = decode::dead_letter(entry, claims, clock::now());
        let times = BatchTimes::decoded(entry.claimed_at, entry.claimed_at);
        self.process(vec![record], times).await;
    }

    /// Processes leased ledger rows.
    pub(crate) async fn leased(&self, rows: Vec<ClaimedEvent>) {
        let started = Instant::now();
        let records = rows
            .into_iter()
            .map(|row| decode::leased(row, &self.retries))
            .collect();
        let times = BatchTimes::decoded(started, started);
        self.process(records, times).await;
    }

    async fn process(&self, mut records: Vec<EventRecord>, times: BatchTimes) {
        self.unknown_endpoints.leave(&mut records).await;
        if records.is_empty() {
            return;
        }
        let entries: Vec<EntryRef> = records
            .iter()
            .filter_map(|record| record.claimed.entry())
            .collect();
        let leased = leased(&records);
        // What this cuts off is rolled back by the server, or has committed; both are safe to repeat.
        let processing = Box::pin(self.commit_and_acknowledge(records, &times));
        if self.abandon.run_until_cancelled(processing).await.is_some() {
            return;
        }
        self.claims.mark_untried(&entries);
        let releasing = self.committer.release(&leased);
        let released = tokio::time::timeout(RELEASE_BOUND, releasing).await;
        if !leased.is_empty() && !released.is_ok_and(|released| released) {
            tracing::debug!("Could not release leased rows; they come due when their lease ends.");
        }
    }

    /// Commits and acknowledges a batch, in halves if it is refused, down to the one event at fault. The events
    /// that change an unavailable table are stored as pending with the others.
    async fn commit_and_acknowledge(&self, mut records: Vec<EventRecord>, times: &BatchTimes) {
        self.unavailable.postpone(&mut records);
        let mut batches = vec![records];
        let (mut waits, mut damaged, mut row_is_locked) = (0, 0, false);
        while let Some(mut records) = batches.pop() {
            match self.committer.commit(&records, row_is_locked).await {
                Ok(commit) => self.acknowledge(&records, commit, times).await,
                Err(NotCommitted::Released) => {}
                Err(NotCommitted::Unavailable { table, reason }) => {
                    self.unavailable.add(table, &reason, &mut records);
                    batches.push(records);
                }
                Err(NotCommitted::Stuck { table, reason }) => {
                    postpone_stuck(&mut records, table, &reason);
                    batches.push(records);
                }
                Err(NotCommitted::Damaged { table, reason }) => {
                    damaged += 1;
                    tracing::error!(table, error = reason, "Rows of a table are damaged.");
                    postpone_stuck(&mut records, table, &reason);
                    batches.push(records);
                    if damaged == DAMAGED_MAX {
                        for rest in &mut batches {
                            self.unavailable.add(table, &reason, rest);
                        }
                    }
                }
                Err(NotCommitted::RowLocked(error)) => {
                    row_is_locked = true;
                    halve(&mut batches, records, &error);
                }
                Err(NotCommitted::Refused(error)) if records.len() > 1 => {
                    halve(&mut batches, records, &error);
                }
                // The ledger row alone, with the error. If even that is refused, the store is at fault and
                // the event keeps its verdict.
                Err(NotCommitted::Refused(error)) => {
                    let failed = self.failed(&records[0], error);
                    let failed = slice::from_ref(&failed);
                    match self.committer.try_once(failed).await {
                        Ok(commit) => self.acknowledge(failed, commit, times).await,
                        Err(failure) => {
                            self.committer.wait(&mut waits, 1, &failure.error).await;
                            // The other parts of the batch come first.
                            batches.insert(0, records);
                        }
                    }
                }
            }
        }
    }

    fn failed(&self, record: &EventRecord, error: String) -> EventRecord {
        EventRecord {
            verdict: decode::after_failure(&record.claimed, &self.retries, error),
            ..record.clone()
        }
    }

    /// Reports a committed batch and acknowledges its entries.
    async fn acknowledge(&self, records: &[EventRecord], commit: Commit, times: &BatchTimes) {
        let kept = self.spans.kept(&commit.batch, records);
        self.counters
            .committed(records, &commit.batch, kept.as_ref());
        self.failures.log(records, &commit.batch);
        self.unavailable.committed(records, &commit.batch);
        let from = Instant::now();
        self.acknowledgements.acknowledge(commit.batch).await;
        let acknowledged = (from, Instant::now());
        self.counters.stages_took(times, commit.times, acknowledged);
        if let Some(kept) = kept {
            self.spans
                .record(times, records, &kept, commit.times, acknowledged);
        }
    }
}

fn halve(batches: &mut Vec<Vec<EventRecord>>, mut records: Vec<EventRecord>, error: &str) {
    let events = records.len();
    tracing::warn!(events, error, "A batch did not commit; trying its halves.");
    batches.push(records.split_off(events / 2));
    batches.push(records);
}

/// Postpones the one event of a batch.
fn postpone_stuck(records: &mut [EventRecord], table: &'static str, reason: &str) {
    for record in records {
        let waited = clock::now().millis() - record.claimed.received_at.millis();
        let wait = Duration::from_millis(waited.max(0).unsigned_abs());
        let wait = wait.clamp(STUCK_WAIT_MIN, STUCK_WAIT_MAX);
        record.verdict = Verdict::postpone(table, reason, wait);
    }
}
