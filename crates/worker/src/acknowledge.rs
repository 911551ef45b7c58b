//! After the commit: the entries leave the group and the stream.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::retry::backoff;
use harkara_storage::commit::CommittedBatch;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::active_claims::ActiveClaims;
use crate::metrics::Counters;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::Group;

/// How long a batch waits for its acknowledgement; from then on the acknowledgement waits by itself.
const FIRST_TRY_MAX: Duration = Duration::from_secs(1);

/// Wait before acknowledging is tried again while Redis is away, and the longest such wait.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Most batches whose acknowledgement waits for Redis. While it is away nothing more is claimed, so there
/// are no more than a few; where it refuses acknowledgements alone, the entries of further batches are
/// delivered again, to be recognised at the ledger. That costs work and breaks nothing.
const WAITING_MAX: usize = 64;

/// Acknowledges, and does not hold up the processor while Redis is away: PostgreSQL may have rows that are due.
#[derive(Clone)]
pub(crate) struct Acknowledgements {
    group: Arc<Group>,
    held: Arc<ActiveClaims>,
    counters: Counters,
    room: Arc<Semaphore>,
    /// Cancelled when a stop may wait no longer.
    abandon: CancellationToken,
    waiting: TaskTracker,
}

impl Acknowledgements {
    pub(crate) fn new(
        group: Arc<Group>,
        held: Arc<ActiveClaims>,
        counters: Counters,
        abandon: CancellationToken,
    ) -> Self {
        Self {
            group,
            held,
            counters,
            room: Arc::new(Semaphore::new(WAITING_MAX)),
            abandon,
            waiting: TaskTracker::new(),
        }
    }

    /// Acknowledges the stream entries of a committed batch and deletes them, in one round trip, so that
    /// Redis holds the backlog and nothing more. What Redis does not confirm soon is tried again, again
    /// and again, when this has returned.
    ///
    /// A batch that has not committed cannot be passed: only the commit makes a [`CommittedBatch`].
    pub(crate) async fn acknowledge(&self, committed: CommittedBatch) {
        if committed.entries().is_empty() {
            return;
        }
        // Whether it took effect does not matter: what was removed is not removed again.
        let first = tokio::time::timeout(FIRST_TRY_MAX, self.try_once(&committed, 1)).await;
        if first.is_ok_and(|done| done) {
            return;
        }
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            tracing::warn!(
                entries = committed.entries().len(),
                "Too many acknowledgements wait: these entries are delivered again, and recognised."
            );
            return;
        };
        // ActiveClaims meanwhile, so that nobody takes over what only waits for its end.
        let holding = self.held.committed_until_dropped(committed.entries());
        let this = self.clone();
        self.waiting.spawn(async move {
            let patiently = this.try_until_done(&committed);
            this.abandon.run_until_cancelled(patiently).await;
            drop((holding, room));
        });
    }

    /// Returns when no acknowledgement waits any more. To be called when there are no more commits.
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
                self.failed(entries, tries, &error);
                false
            }
        }
    }

    fn failed(&self, entries: usize, tries: u32, error: &GroupError) {
        self.counters.waits.inc();
        tracing::warn!(entries, tries, %error, "Committed entries could not be acknowledged.");
    }
}
