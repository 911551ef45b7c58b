//! Reading from a database that may be away for a while.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harkara_storage::{Pool, StorageError, verification};
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
    interrupted: Arc<AtomicBool>,
}

impl<'a> Reading<'a> {
    /// Reads until a time, or until Ctrl-C.
    pub(super) fn new(pool: &'a Pool, until: Instant) -> Self {
        let interrupted = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&interrupted);
        tokio::spawn(async move {
            if ctrl_c().await.is_ok() {
                told.store(true, Ordering::Relaxed);
            }
        });
        Self {
            pool,
            until,
            interrupted,
        }
    }

    /// Whether nothing more is waited for.
    pub(super) fn is_over(&self) -> bool {
        self.is_interrupted() || Instant::now() >= self.until
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Reads, and again while the database cannot be read and the time is not over.
    pub(super) async fn read<T>(
        &self,
        question: impl AsyncFn() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let until = self.until.max(Instant::now() + READ_WAIT_MIN);
        loop {
            match question().await {
                Err(_) if Instant::now() < until && !self.is_interrupted() => {
                    sleep(RETRY_AFTER).await;
                }
                answered => return answered,
            }
        }
    }

    /// Waits until events are processed or dead letters, and takes those out of `waiting`. Ends when the
    /// time is over.
    pub(super) async fn settle(
        &self,
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
    pub(super) async fn pause(&self) {
        sleep(LOOK_EVERY).await;
    }

    /// Takes out what is settled. What was received first is processed first as a rule, so a question
    /// that finds little ends the look.
    async fn look(&self, waiting: &mut Vec<&str>) -> Result<(), StorageError> {
        let mut from = 0;
        while from < waiting.len() {
            let to = waiting.len().min(from + ASKED_AT_ONCE_MAX);
            let asked = &waiting[from..to];
            let settled = self
                .read(async || verification::settled_events(self.pool, asked).await)
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
