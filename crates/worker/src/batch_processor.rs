//! The one processor that every record takes, wherever it was claimed: commit, acknowledge; wait while a
//! store is away; find the one that is at fault.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use harkara_core::entry::EntryRef;
use harkara_core::retry::{AfterFailure, RetryPolicy, backoff};
use harkara_storage::commit::{CommittedBatch, DuplicateHint, commit};
use harkara_storage::ledger::release;
use harkara_storage::record::{ClaimedEvent, EventRecord, Verdict};
use harkara_storage::{Pool, Recovery};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::acknowledge::Acknowledgements;
use crate::active_claims::ActiveClaims;
use crate::decode::told;
use crate::failure_log::Failures;
use crate::metrics::{Counters, StageTimes};
use crate::spans::{BatchSpans, BatchTimes};
use harkara_streams::consumer_group::Group;

/// Wait before a batch is tried again while a store is away, and the longest such wait.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest time spent on giving leased rows back when a stop may wait no longer.
const RELEASE_BOUND: Duration = Duration::from_millis(500);

/// Waits in a row after which the trouble is logged as an error rather than a warning.
const WAITS_UNTIL_ERROR: u32 = 5;

/// What the processor leads through.
pub(crate) struct BatchProcessor {
    /// One for each batch in flight.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) database: Pool,
    pub(crate) duplicate_hint: DuplicateHint,
    pub(crate) group: Arc<Group>,
    pub(crate) acknowledgements: Acknowledgements,
    pub(crate) held: Arc<ActiveClaims>,
    pub(crate) retries: Retries,
    pub(crate) counters: Counters,
    pub(crate) failures: Failures,
    pub(crate) trails: BatchSpans,
    /// Cancelled when a stop may wait no longer: what is on the processor is then left pending.
    pub(crate) abandon: CancellationToken,
}

/// The bounds of an event's own retries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries(pub(crate) RetryPolicy);

impl Retries {
    pub(crate) fn attempts_max(&self) -> u32 {
        self.0.attempts_max
    }

    /// The verdict on an event whose `attempts`-th attempt failed unexpectedly.
    pub(crate) fn after(&self, attempts: u32, error: String) -> Verdict {
        match self.0.after_failure(attempts, rand::random()) {
            AfterFailure::RetryIn(after) => Verdict::Retry { error, after },
            AfterFailure::GiveUp => Verdict::Fail {
                error: format!("given up after {attempts} attempts: {error}"),
            },
        }
    }
}

/// A commit and when it was.
struct Commit {
    batch: CommittedBatch,
    times: (Instant, Instant),
}

/// Why a batch did not commit.
enum Failure {
    /// A store is away: nothing is wrong with the batch.
    Away(String),
    /// It took too long: nothing is wrong with the events, but there may be too many of them.
    TooMuch(String),
    /// One of the events may be at fault.
    AtFault(String),
}

impl BatchProcessor {
    /// Waits for the permit to have a batch in flight, first come, first served. Dropping it gives it back.
    pub(crate) async fn permit(&self) -> OwnedSemaphorePermit {
        let permits = self.permits.clone();
        permits
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Takes records to their commit and acknowledges them. Returns only when all of them are committed, or
    /// when the processor is abandoned: a batch is kept for as long as PostgreSQL is away, and meanwhile holds
    /// one of the worker's permits, which is what stops it from claiming more. While Redis is away the
    /// acknowledgement waits by itself.
    pub(crate) async fn take(&self, records: Vec<EventRecord>, trail: BatchTimes) {
        let entries: Vec<EntryRef> = records
            .iter()
            .filter_map(|record| record.claimed.entry())
            .collect();
        let leased = leased(&records);
        // Whatever this cuts off is rolled back by the server or had committed; both are safe to repeat.
        if self
            .abandon
            .run_until_cancelled(Box::pin(self.take_all(records, &trail)))
            .await
            .is_none()
        {
            self.held.excuse(entries.into_iter());
            let released = tokio::time::timeout(RELEASE_BOUND, self.release(&leased)).await;
            if !leased.is_empty() && !released.is_ok_and(|released| released) {
                tracing::debug!(
                    "Leased rows could not be released; they come due again when their lease ends."
                );
            }
        }
    }

    async fn take_all(&self, records: Vec<EventRecord>, trail: &BatchTimes) {
        let mut batches = vec![records];
        let mut waits = 0;
        while let Some(mut records) = batches.pop() {
            match self.commit_patiently(&records).await {
                Ok(Some(committed)) => self.finish(&records, committed, trail).await,
                Ok(None) => {}
                Err(error) if records.len() > 1 => {
                    tracing::warn!(
                        events = records.len(),
                        error,
                        "A batch did not commit; trying its halves."
                    );
                    let rest = records.split_off(records.len() / 2);
                    batches.push(rest);
                    batches.push(records);
                }
                Err(error) => {
                    if let Err(refused) = self.store_blamed(&mut records, &error, trail).await {
                        self.wait(&mut waits, records.len(), &refused).await;
                        batches.push(records);
                    }
                }
            }
        }
    }

    async fn finish(&self, records: &[EventRecord], committed: Commit, trail: &BatchTimes) {
        let Commit { batch, times } = committed;
        let kept = self.trails.kept_of(&batch, records);
        self.counters.committed(records, &batch, kept.as_ref());
        self.failures.tell(records, &batch);
        let from = Instant::now();
        self.acknowledgements.acknowledge(batch).await;
        let (wait, decode) = trail.took();
        self.counters.stages_took(StageTimes {
            wait,
            decode,
            commit: times.1 - times.0,
            acknowledge: from.elapsed(),
        });
        if let Some(kept) = kept {
            let acknowledged = (from, Instant::now());
            self.trails.end(trail, records, &kept, times, acknowledged);
        }
    }

    /// Commits, waiting while the store is away. `None` where leased rows were released instead, to come
    /// due again. `Err` where smaller batches are called for; for a lone event that means that it is at
    /// fault.
    async fn commit_patiently(&self, records: &[EventRecord]) -> Result<Option<Commit>, String> {
        let mut waits = 0;
        // What looks like an event's fault may be a server that is going down: once more.
        let mut suspected = false;
        loop {
            match self.try_commit(records).await {
                Ok(committed) => return Ok(Some(committed)),
                Err(Failure::AtFault(_)) if !suspected => suspected = true,
                Err(Failure::AtFault(error)) => return Err(error),
                Err(Failure::TooMuch(error)) if records.len() > 1 => return Err(error),
                Err(Failure::Away(error) | Failure::TooMuch(error)) => {
                    // What was suspected before a store went away was most likely its going.
                    suspected = false;
                    if self.release(&leased(records)).await {
                        return Ok(None);
                    }
                    self.wait(&mut waits, records.len(), &error).await;
                }
            }
        }
    }

    /// Gives leased rows back uncounted; whether there were any and it was done. ClaimGuard on to them would
    /// outlast the lease, and each lease counts as an attempt.
    async fn release(&self, leased: &[ClaimedEvent]) -> bool {
        !leased.is_empty() && release(&self.database, leased, WAIT_MAX).await.is_ok()
    }

    /// Stores an event that is held to be at fault, by its ledger row alone. Where even that row is
    /// refused, the store is to blame and not the event, whose verdict is then as it was.
    async fn store_blamed(
        &self,
        records: &mut [EventRecord],
        error: &str,
        trail: &BatchTimes,
    ) -> Result<(), String> {
        let verdicts: Vec<Verdict> = records
            .iter()
            .map(|record| record.verdict.clone())
            .collect();
        for record in &mut *records {
            self.blame(record, error);
        }
        match self.try_commit(records).await {
            Ok(committed) => {
                self.finish(records, committed, trail).await;
                Ok(())
            }
            Err(Failure::Away(error) | Failure::TooMuch(error) | Failure::AtFault(error)) => {
                for (record, verdict) in records.iter_mut().zip(verdicts) {
                    record.verdict = verdict;
                }
                Err(error)
            }
        }
    }

    async fn try_commit(&self, records: &[EventRecord]) -> Result<Commit, Failure> {
        let from = Instant::now();
        match AssertUnwindSafe(commit(&self.database, &self.duplicate_hint, records))
            .catch_unwind()
            .await
        {
            Ok(Ok(batch)) => Ok(Commit {
                batch,
                times: (from, Instant::now()),
            }),
            Ok(Err(error)) => Err(match error.recovery() {
                Recovery::Wait => Failure::Away(error.full()),
                Recovery::Split => Failure::TooMuch(error.full()),
                Recovery::Isolate => Failure::AtFault(error.full()),
            }),
            Err(panic) => Err(Failure::AtFault(format!(
                "panicked while projecting: {}",
                told(&*panic)
            ))),
        }
    }

    async fn wait(&self, waits: &mut u32, events: usize, error: &str) {
        *waits = waits.saturating_add(1);
        self.counters.waits.inc();
        let pause = backoff(WAIT_FIRST, WAIT_MAX, *waits, rand::random());
        if *waits == WAITS_UNTIL_ERROR {
            tracing::error!(
                events,
                error,
                "The store has been away for a while; keeping the batch."
            );
        } else {
            tracing::warn!(
                events,
                error,
                waits = *waits,
                "The store is away; keeping the batch."
            );
        }
        tokio::time::sleep(pause).await;
    }

    fn blame(&self, record: &mut EventRecord, error: &str) {
        let attempts = record.claimed.attempts();
        record.verdict = self.retries.after(attempts, error.to_owned());
    }
}

/// The leased rows among some records; none of a batch from the streams.
fn leased(records: &[EventRecord]) -> Vec<ClaimedEvent> {
    let leased = records
        .iter()
        .filter(|record| record.claimed.entry().is_none());
    leased.map(|record| record.claimed.clone()).collect()
}
