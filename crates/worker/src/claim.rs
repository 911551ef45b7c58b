//! New entries of the four lanes as a source of batches.

mod lane_reader;
mod read_ahead;
mod read_size;

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::causes::with_causes;
use harkara_core::lane::LANES;
use harkara_runtime::admin::Progress;
use harkara_runtime::shutdown::Shutdown;
use harkara_streams::consumer_group::ClaimedEntry;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::OwnedSemaphorePermit;

use crate::active_claims::ActiveClaims;
use crate::batch_processor::BatchProcessor;
pub(crate) use lane_reader::LaneReader;
pub(crate) use read_ahead::BatchBounds;
use read_ahead::ReadAhead;

/// How often a loop that waits for a permit reports progress.
const TICK: Duration = Duration::from_secs(1);

/// Reads the lanes and processes what it reads in batches.
pub(crate) struct Claimer {
    pub(crate) reader: LaneReader,
    pub(crate) processor: Arc<BatchProcessor>,
    pub(crate) claims: Arc<ActiveClaims>,
    pub(crate) progress: Progress,
    /// The time that a batch takes.
    pub(crate) batch_seconds: Histogram,
    pub(crate) batch: BatchBounds,
    pub(crate) gather: Duration,
    pub(crate) lane_weights: [usize; LANES],
}

impl Claimer {
    /// Runs until shutdown. The batches in flight then go on.
    ///
    /// While all permits are in use it reads the next batch ahead. Once it has a permit it reads again, so
    /// that a higher lane never waits behind a batch that was read before it.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut read_ahead = ReadAhead::default();
        let mut sent_at: Option<Instant> = None;
        loop {
            if read_ahead.is_empty() {
                if shutdown.is_requested() {
                    return;
                }
                self.progress.touch();
                if let Err(error) = self.reader.fill(&mut read_ahead).await {
                    self.reader.recover(&error, &shutdown).await;
                }
                continue;
            }
            let is_small = !self.reader.left_more() && read_ahead.len() < self.batch.entries;
            if let Some(sent_at) = sent_at.filter(|_| is_small) {
                self.gather(sent_at, &shutdown).await;
            }
            let permit = self.permit().await;
            if !shutdown.is_requested()
                && let Err(error) = self.reader.fill(&mut read_ahead).await
            {
                // What was read ahead need not wait for Redis.
                tracing::debug!(
                    error = with_causes(&error),
                    "Could not read more entries into a batch."
                );
            }
            sent_at = Some(Instant::now());
            let batch = read_ahead.take(self.batch, self.lane_weights);
            self.send(batch, permit);
        }
    }

    /// Waits until `worker.gather_ms` have passed since the last batch: a batch costs one or two milliseconds
    /// of CPU time besides its events. Neither the first delivery after a quiet time nor a backlog waits.
    async fn gather(&self, sent_at: Instant, shutdown: &Shutdown) {
        let remaining = self.gather.saturating_sub(sent_at.elapsed());
        if !remaining.is_zero() {
            shutdown.sleep(remaining).await;
        }
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

    fn send(&self, batch: Vec<ClaimedEntry>, permit: OwnedSemaphorePermit) {
        if batch.is_empty() {
            return;
        }
        let entries = batch.iter().map(|entry| entry.entry).collect();
        let guard = self.claims.hold(entries);
        let processor = self.processor.clone();
        let batch_seconds = self.batch_seconds.clone();
        self.processor.in_flight.spawn(async move {
            let started = Instant::now();
            processor.entries(batch).await;
            batch_seconds.observe(started.elapsed().as_secs_f64());
            drop((guard, permit));
        });
    }
}
