//! Reading from a database that may be away for a while.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use harkara_storage::{Pool, StorageError, audit};
use tokio::signal::ctrl_c;
use tokio::time::sleep;

use super::super::progress::Progress;
use super::{ASKED_AT_ONCE_MAX, LOOK_EVERY};

/// What is read once the waiting is over may still take so long to begin to work.
const READ_WAIT_MIN: Duration = Duration::from_secs(5);

/// A pause between two attempts at a read that failed.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Reads, with a time until which is waited for what is not there yet.
pub(super) struct Reading<'a> {
    pub(super) pool: &'a Pool,
    until: Instant,
}

impl<'a> Reading<'a> {
    pub(super) fn new(pool: &'a Pool, until: Instant) -> Self {
        Self { pool, until }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Reads, and again while the database cannot be read and the time is not over.
    pub(super) async fn read<T>(
        &self,
        question: impl AsyncFn() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let until = self.until.max(Instant::now() + READ_WAIT_MIN);
        loop {
            match question().await {
                Err(_) if Instant::now() < until => sleep(RETRY_AFTER).await,
                answered => return answered,
            }
        }
    }

    /// Waits until events are processed or dead letters, and takes those out of `waiting`. Ends when the
    /// time is over, or at Ctrl-C.
    pub(super) async fn settle(
        &mut self,
        waiting: &mut Vec<&str>,
        progress: &Progress,
    ) -> Result<(), StorageError> {
        loop {
            self.look(waiting).await?;
            if waiting.is_empty() || self.is_over() {
                return Ok(());
            }
            progress.settling(waiting.len());
            self.pause().await;
        }
    }

    /// Passes the time between two looks.
    pub(super) async fn pause(&mut self) {
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            Ok(()) = ctrl_c() => self.until = Instant::now(),
        }
    }

    /// Takes out what is settled. What was received first is processed first as a rule, so a question
    /// that finds little ends the look.
    async fn look(&self, waiting: &mut Vec<&str>) -> Result<(), StorageError> {
        let mut from = 0;
        while from < waiting.len() {
            let to = waiting.len().min(from + ASKED_AT_ONCE_MAX);
            let asked = &waiting[from..to];
            let settled = self
                .read(async || audit::settled_events(self.pool, asked).await)
                .await?;
            let settled: HashSet<&str> = settled.iter().map(String::as_str).collect();
            let n_asked = asked.len();
            let mut at = 0;
            waiting.retain(|event_id| {
                let is_asked = (from..to).contains(&at);
                at += 1;
                !(is_asked && settled.contains(event_id))
            });
            if settled.len() * 2 < n_asked {
                return Ok(());
            }
            from = to - settled.len();
        }
        Ok(())
    }
}
