//! Due ledger rows as a source of batches: retries, replays, deliveries that Redis could not take, and events
//! that waited for a table.

use std::sync::Arc;
use std::time::Duration;

use harkara_runtime::shutdown::Shutdown;
use harkara_storage::Pool;
use harkara_storage::ledger::{LeaseBounds, lease_due, recall};

use crate::batch_processor::BatchProcessor;

/// Postponed events that are made due in one statement.
const RECALLED_MAX: usize = 1000;

/// Leases due rows and processes them like new entries.
pub(crate) struct DueSource {
    pub(crate) database: Pool,
    pub(crate) processor: Arc<BatchProcessor>,
    pub(crate) bounds: LeaseBounds,
    pub(crate) poll_every: Duration,
}

impl DueSource {
    /// Runs until shutdown. Polls again without a pause while more is due.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        while !shutdown.is_requested() {
            if !self.take_due(&shutdown).await {
                shutdown.sleep(self.poll_every).await;
            }
        }
    }

    /// Processes one batch; returns whether more is due.
    async fn take_due(&self, shutdown: &Shutdown) -> bool {
        let permit = self.processor.permit().await;
        if shutdown.is_requested() {
            return false;
        }
        self.recall().await;
        let leased = match lease_due(&self.database, &self.bounds).await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(
                    error = error.full(),
                    "Could not query the ledger for due events."
                );
                return false;
            }
        };
        if !leased.events.is_empty() {
            self.processor.leased(leased.events).await;
        }
        drop(permit);
        leased.left_more
    }

    /// Makes events due that waited for a table which can be written again.
    async fn recall(&self) {
        let Some(table) = self.processor.unavailable.take_available_again() else {
            return;
        };
        match recall(&self.database, table, RECALLED_MAX).await {
            Ok(recalled) if recalled < RECALLED_MAX => {}
            Ok(_) => self.processor.unavailable.recall_later(table),
            Err(error) => {
                self.processor.unavailable.recall_later(table);
                tracing::warn!(
                    table,
                    error = error.full(),
                    "Could not recall the events that waited for a table; trying again."
                );
            }
        }
    }
}
