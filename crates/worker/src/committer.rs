//! Commits batches, and waits for PostgreSQL while it is unavailable.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use harkara_core::retry::backoff;
use harkara_storage::commit::{CommittedBatch, DuplicateHint, commit};
use harkara_storage::inspection::lock_on;
use harkara_storage::ledger::release;
use harkara_storage::record::{ClaimedEvent, EventRecord};
use harkara_storage::{Pool, Recovery};
use prometheus_client::metrics::counter::Counter;

use crate::decode::panic_message;

/// First and longest wait before a batch is committed again while PostgreSQL is unavailable.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Waits in a row after which an outage is logged as an error instead of a warning.
const WAITS_UNTIL_ERROR: u32 = 5;

pub(crate) struct Committer {
    pub(crate) database: Pool,
    pub(crate) duplicate_hint: DuplicateHint,
    pub(crate) waits: Counter,
}

/// A committed batch, and when its commit began and ended.
pub(crate) struct Commit {
    pub(crate) batch: CommittedBatch,
    pub(crate) times: (Instant, Instant),
}

/// Why a batch was not committed.
pub(crate) enum NotCommitted {
    /// Its leased rows were released and come due again.
    Released,
    /// A table cannot be written, for this reason. The events that change it must be postponed.
    Unavailable { table: &'static str, reason: String },
    /// Its one event must be postponed: a row of this table is locked, or its statement takes too long.
    Stuck { table: &'static str, reason: String },
    /// Its one event must be postponed: its rows in this table are damaged, and perhaps the whole table is.
    Damaged { table: &'static str, reason: String },
    /// It must be split: a row of one of its events is locked.
    RowLocked(String),
    /// It must be split. A single event is at fault itself.
    Refused(String),
}

/// A failed attempt to commit.
pub(crate) struct Failure {
    recovery: Recovery,
    /// The table of the projection that failed.
    table: Option<&'static str>,
    pub(crate) error: String,
}

impl Committer {
    /// Commits a batch. Waits while PostgreSQL is unavailable, unless the batch has leased rows to release.
    ///
    /// `row_is_locked` says that a row was found locked of the batch of which this one is a part.
    pub(crate) async fn commit(
        &self,
        records: &[EventRecord],
        row_is_locked: bool,
    ) -> Result<Commit, NotCommitted> {
        let mut waits = 0;
        // The first refusal may come from a server that is shutting down, or from the lock of another commit, so
        // it is confirmed by a second.
        let (mut is_confirmed, mut lock_is_confirmed) = (false, row_is_locked);
        loop {
            let failure = match self.try_once(records).await {
                Ok(commit) => return Ok(commit),
                Err(failure) => failure,
            };
            let Failure {
                recovery,
                table,
                error: reason,
            } = self.with_lock(failure).await;
            match (recovery, table) {
                (Recovery::Postpone, Some(table)) => {
                    return Err(NotCommitted::Unavailable { table, reason });
                }
                (Recovery::Isolate, _) if !is_confirmed => is_confirmed = true,
                (Recovery::FindLock, _) if !lock_is_confirmed => lock_is_confirmed = true,
                (Recovery::Isolate, _) => return Err(NotCommitted::Refused(reason)),
                (Recovery::FindLock, _) if records.len() > 1 => {
                    return Err(NotCommitted::RowLocked(reason));
                }
                (Recovery::Split | Recovery::FindDamage, _) if records.len() > 1 => {
                    return Err(NotCommitted::Refused(reason));
                }
                (Recovery::Split | Recovery::FindLock, Some(table)) => {
                    return Err(NotCommitted::Stuck { table, reason });
                }
                (Recovery::FindDamage, Some(table)) => {
                    return Err(NotCommitted::Damaged { table, reason });
                }
                _ => {
                    (is_confirmed, lock_is_confirmed) = (false, false);
                    if self.release(&leased(records)).await {
                        return Err(NotCommitted::Released);
                    }
                    self.wait(&mut waits, records.len(), &reason).await;
                }
            }
        }
    }

    /// If a failure was the wait for a lock and a whole table is locked, adds who has it locked, and decides how to
    /// recover. Otherwise a row is locked, and the failure is as it was.
    async fn with_lock(&self, failure: Failure) -> Failure {
        if failure.recovery != Recovery::FindLock {
            return failure;
        }
        match lock_on(&self.database, failure.table).await {
            Ok(Some(lock)) => Failure {
                recovery: if failure.table.is_some() {
                    Recovery::Postpone
                } else {
                    Recovery::Wait
                },
                error: format!("{}; {lock}", failure.error),
                ..failure
            },
            _ => failure,
        }
    }

    /// Tries to commit a batch once. A panic while projecting counts as a refusal.
    pub(crate) async fn try_once(&self, records: &[EventRecord]) -> Result<Commit, Failure> {
        let from = Instant::now();
        let committed = AssertUnwindSafe(commit(&self.database, &self.duplicate_hint, records))
            .catch_unwind()
            .await;
        match committed {
            Ok(Ok(batch)) => Ok(Commit {
                batch,
                times: (from, Instant::now()),
            }),
            Ok(Err(error)) => Err(Failure {
                recovery: error.recovery(),
                table: error.table(),
                error: error.full(),
            }),
            Err(panic) => Err(Failure {
                recovery: Recovery::Isolate,
                table: None,
                error: format!("panicked while projecting: {}", panic_message(&*panic)),
            }),
        }
    }

    /// Releases leased rows without counting the attempt; returns whether there were any and it was done.
    /// Keeping them would outlast their lease, and each lease counts as an attempt.
    pub(crate) async fn release(&self, leased: &[ClaimedEvent]) -> bool {
        !leased.is_empty() && release(&self.database, leased, WAIT_MAX).await.is_ok()
    }

    /// Logs an outage and waits before the next attempt. `waits` counts the waits in a row.
    pub(crate) async fn wait(&self, waits: &mut u32, events: usize, error: &str) {
        *waits = waits.saturating_add(1);
        self.waits.inc();
        if *waits == WAITS_UNTIL_ERROR {
            tracing::error!(
                events,
                error,
                "PostgreSQL is still unavailable; keeping the batch."
            );
        } else {
            tracing::warn!(
                events,
                error,
                waits = *waits,
                "PostgreSQL is unavailable; keeping the batch."
            );
        }
        let pause = backoff(WAIT_FIRST, WAIT_MAX, *waits, rand::random());
        tokio::time::sleep(pause).await;
    }
}

/// The leased ledger rows of a batch; none in a batch from the streams.
pub(crate) fn leased(records: &[EventRecord]) -> Vec<ClaimedEvent> {
    let claimed = records.iter().map(|record| &record.claimed);
    claimed
        .filter(|event| event.entry().is_none())
        .cloned()
        .collect()
}
