//! The other source: ledger rows that are pending and due (retries, replays).

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_runtime::shutdown::Shutdown;
use harkara_storage::ledger::{LeaseBounds, lease_due};

use crate::batch_processor::BatchProcessor;
use crate::decode;
use crate::spans::BatchTimes;

/// Leases due rows and takes them down the processor that fresh deliveries take.
pub(crate) struct DueSource {
    pub(crate) processor: Arc<BatchProcessor>,
    pub(crate) bounds: LeaseBounds,
    pub(crate) poll_every: Duration,
}

impl DueSource {
    /// Runs until told to stop. Looks again at once as long as more is due.
    pub(crate) async fn run(self, stop: Shutdown) {
        while !stop.is_requested() {
            if !self.take_due(&stop).await {
                stop.sleep(self.poll_every).await;
            }
        }
    }

    /// Gives whether more is due.
    async fn take_due(&self, stop: &Shutdown) -> bool {
        let permit = self.processor.permit().await;
        if stop.is_requested() {
            return false;
        }
        let leased = match lease_due(&self.processor.database, &self.bounds).await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(
                    error = error.full(),
                    "The ledger could not be looked at for due events."
                );
                return false;
            }
        };
        if !leased.events.is_empty() {
            let claimed_at = Instant::now();
            let records = leased
                .events
                .into_iter()
                .map(|row| decode::leased(row, &self.processor.retries))
                .collect();
            self.processor
                .take(records, BatchTimes::decoded(claimed_at, claimed_at))
                .await;
        }
        drop(permit);
        leased.left_more
    }
}
