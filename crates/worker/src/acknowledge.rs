//! After the commit: the entries leave the group and the stream.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::retry::backoff;
use harkara_storage::commit::CommittedBatch;
use harkara_streams::consumer_group::Group;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::active_claims::ActiveClaims;

/// How long a batch waits for its acknowledgement, which then goes on in a task of its own.
const FIRST_TRY_MAX: Duration = Duration::from_secs(1);

/// First and longest wait before an acknowledgement is retried.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Maximum batches whose acknowledgement waits for Redis. While Redis is unavailable nothing more is claimed, so
/// there are only a few. If it refuses acknowledgements alone, the entries of further batches are delivered
/// again and recognised by the ledger, which costs work and breaks nothing.
const WAITING_MAX: usize = 64;

/// Acknowledges committed batches without blocking the pipeline while Redis is unavailable: PostgreSQL may
/// have due rows.
#[derive(Clone)]
pub(crate) struct Acknowledgements {
    group: Arc<Group>,
    claims: Arc<ActiveClaims>,
    waits: Counter,
    slots: Arc<Semaphore>,
    /// Cancelled at the stop deadline.
    abandon: CancellationToken,
    waiting: TaskTracker,
}

impl Acknowledgements {
    pub(crate) fn new(
        group: Arc<Group>,
        claims: Arc<ActiveClaims>,
        waits: Counter,
        abandon: CancellationToken,
    ) -> Self {
        Self {
            group,
            claims,
            waits,
            slots: Arc::new(Semaphore::new(WAITING_MAX)),
            abandon,
            waiting: TaskTracker::new(),
        }
    }

    /// Acknowledges and deletes the stream entries of a committed batch in one round trip. If Redis does not
    /// confirm soon, this returns and the acknowledgement is retried in the background.
    pub(crate) async fn acknowledge(&self, committed: CommittedBatch) {
        let entries = committed.entries().len();
        if entries == 0 {
            return;
        }
        let first = tokio::time::timeout(FIRST_TRY_MAX, self.try_once(&committed, 1)).await;
        if first.is_ok_and(|done| done) {
            return;
        }
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            tracing::warn!(
                entries,
                "Too many acknowledgements are waiting; these entries will be delivered again."
            );
            return;
        };
        // Nobody must reclaim what only waits for its acknowledgement.
        let guard = self.claims.hold_committed(committed.entries());
        let this = self.clone();
        self.waiting.spawn(async move {
            let done = this.try_until_done(&committed);
            this.abandon.run_until_cancelled(done).await;
            drop((guard, slot));
        });
    }

    /// Waits for the last acknowledgement. Call it after the last commit.
    pub(crate) async fn finish(&self) {
        self.waiting.close();
        self.waiting.wait().await;
    }

    async fn try_until_done(&self, committed: &CommittedBatch) {
        for tries in 2.. {
            let pause = backoff(WAIT_FIRST, WAIT_MAX, tries - 1, rand::random());
            tokio::time::sleep(pause).await;
            if self.try_once(committed, tries).await {
                return;
            }
        }
    }

    async fn try_once(&self, committed: &CommittedBatch, tries: u32) -> bool {
        let entries = committed.entries().len();
        match self.group.acknowledge(committed).await {
            Ok(removed) => {
                if removed < entries {
                    tracing::debug!(entries, removed, "Some committed entries were not pending.");
                }
                true
            }
            Err(error) => {
                self.waits.inc();
                tracing::warn!(
                    entries,
                    tries,
                    error = with_causes(&error),
                    "Could not acknowledge committed entries; retrying."
                );
                false
            }
        }
    }
}
