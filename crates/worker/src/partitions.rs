//! Keeps the partitions of the ledger and of the audit ready.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harkara_core::retry::backoff;
use harkara_runtime::shutdown::Shutdown;
use harkara_storage::partitions::{default_rows, ensure, may_ensure};
use harkara_storage::{Pool, StorageError};
use prometheus_client::metrics::gauge::Gauge;

/// Time between two looks into the default partitions.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Time between two checks of the partitions, which are added months ahead.
const ENSURE_EVERY: Duration = Duration::from_hours(1);

/// First and longest wait after a failed check, most likely because a reader held a lock.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_mins(10);

/// Adds partitions ahead of time, and gives the rows of the default partitions one.
pub(crate) struct Upkeep {
    pub(crate) database: Pool,
    /// Of the ledger, of the audit.
    pub(crate) default_rows: [Gauge; 2],
    /// Whether the last look failed.
    pub(crate) is_blind: AtomicBool,
    /// Whether the role may not add partitions, so that others have to.
    pub(crate) is_left_to_others: AtomicBool,
}

impl Upkeep {
    /// Works until shutdown, which breaks off what takes long; the next start goes on with it.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let working = self.work(shutdown.clone());
        tokio::select! {
            () = working => {}
            () = shutdown.requested() => {}
        }
    }

    async fn work(&self, shutdown: Shutdown) {
        let (mut due, mut not_before, mut failures) = (Instant::now(), Instant::now(), 0);
        loop {
            let is_in_use = self.look().await;
            let now = Instant::now();
            if now >= due || (is_in_use && now >= not_before) {
                let is_done = self.ensure().await;
                self.look().await;
                failures = if is_done { 0 } else { failures + 1 };
                let retry = backoff(RETRY_FIRST, RETRY_MAX, failures, rand::random());
                let (until_due, until_retry) = match failures {
                    0 => (ENSURE_EVERY, RETRY_MAX),
                    _ => (retry, retry),
                };
                (due, not_before) = (now + until_due, now + until_retry);
            }
            let until_due = due.saturating_duration_since(Instant::now());
            shutdown.sleep(until_due.min(LOOK_EVERY)).await;
        }
    }

    /// Counts the rows of the default partitions, and returns whether there are any.
    async fn look(&self) -> bool {
        let found = match default_rows(&self.database).await {
            Ok(found) => found,
            Err(error) => {
                if !self.is_blind.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        error = error.full(),
                        "Cannot look into the default partitions."
                    );
                }
                return false;
            }
        };
        if self.is_blind.swap(false, Ordering::Relaxed) {
            tracing::info!("Can look into the default partitions again.");
        }
        for (gauge, found) in self.default_rows.iter().zip(&found) {
            let rows = i64::try_from(found.rows).unwrap_or(i64::MAX);
            if rows > 0 && gauge.get() == 0 {
                tracing::warn!(
                    table = found.table,
                    rows,
                    "The default partition holds rows: their month had no partition."
                );
            }
            gauge.set(rows);
        }
        found.iter().any(|found| found.rows > 0)
    }

    /// Brings the partitions up to date, and returns whether that is done, or left to others.
    async fn ensure(&self) -> bool {
        match may_ensure(&self.database).await {
            Ok(true) => self.is_left_to_others.store(false, Ordering::Relaxed),
            Ok(false) => {
                if !self.is_left_to_others.swap(true, Ordering::Relaxed) {
                    tracing::info!(
                        "The role of this worker owns no tables; partitions are left to `harkara migrate`, which has to run regularly."
                    );
                }
                return true;
            }
            Err(error) => {
                failed(&error);
                return false;
            }
        }
        match ensure(&self.database).await {
            Ok(converted) => {
                for partition in converted {
                    tracing::info!(
                        partition,
                        "Gave the rows of a default partition their partition."
                    );
                }
                true
            }
            Err(error) => {
                failed(&error);
                false
            }
        }
    }
}

fn failed(error: &StorageError) {
    tracing::warn!(
        error = error.full(),
        "Could not bring the partitions up to date; trying again later."
    );
}
