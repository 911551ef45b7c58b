//! Reads from a database that may be unavailable for a while.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harkara_storage::verification::settled_events;
use harkara_storage::{Pool, StorageError};
use tokio::time::sleep;

use super::{QUERIED_MAX, Step};

/// A read that begins after the deadline is still retried for this long.
const READ_WAIT_MIN: Duration = Duration::from_secs(5);

/// The pause before a failed read is retried.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Time between two checks of what is not processed yet.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// Retries reads and waits for events, until a deadline or an interruption.
pub(super) struct RetryingReader<'a> {
    pool: &'a Pool,
    deadline: Instant,
    interrupted: &'a AtomicBool,
}

impl<'a> RetryingReader<'a> {
    pub(super) fn new(pool: &'a Pool, deadline: Instant, interrupted: &'a AtomicBool) -> Self {
        Self {
            pool,
            deadline,
            interrupted,
        }
    }

    /// Whether it waits for nothing more.
    pub(super) fn is_over(&self) -> bool {
        self.is_interrupted() || Instant::now() >= self.deadline
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Reads, and retries while the read fails and time is left.
    pub(super) async fn read<T>(
        &self,
        query: impl AsyncFn(&Pool) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let until = self.deadline.max(Instant::now() + READ_WAIT_MIN);
        loop {
            match query(self.pool).await {
                Err(_) if Instant::now() < until && !self.is_interrupted() => {
                    sleep(RETRY_AFTER).await;
                }
                result => return result,
            }
        }
    }

    /// Removes from `waiting` the events that are processed or dead letters, until none is left or the time
    /// is over.
    pub(super) async fn settle(
        &self,
        waiting: &mut Vec<&str>,
        progress: &impl Fn(Step),
    ) -> Result<(), StorageError> {
        loop {
            self.remove_settled(waiting).await?;
            if waiting.is_empty() || self.is_over() {
                return Ok(());
            }
            progress(Step::Settling(waiting.len()));
            self.pause().await;
        }
    }

    /// Passes the time between two checks.
    pub(super) async fn pause(&self) {
        sleep(CHECK_EVERY).await;
    }

    /// Events are mostly processed in the order of their receipt, so a query that finds few ends the check.
    async fn remove_settled(&self, waiting: &mut Vec<&str>) -> Result<(), StorageError> {
        let mut from = 0;
        while from < waiting.len() {
            let to = waiting.len().min(from + QUERIED_MAX);
            let rest = waiting.split_off(to);
            let queried = waiting.split_off(from);
            let settled = self.read(async |pool| settled_events(pool, &queried).await);
            let settled = settled.await?;
            let settled: HashSet<&str> = settled.iter().map(String::as_str).collect();
            let is_open = |id: &&&str| !settled.contains(**id);
            waiting.extend(queried.iter().filter(is_open));
            from = waiting.len();
            waiting.extend(rest);
            if settled.len() * 2 < queried.len() {
                return Ok(());
            }
        }
        Ok(())
    }
}
