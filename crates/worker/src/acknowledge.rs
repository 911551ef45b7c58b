//! After the commit: the entries leave the group and the stream.

use std::time::Duration;

use harkara_core::retry::backoff;
use harkara_storage::commit::CommittedBatch;

use crate::group::Group;
use crate::metrics::Counters;

/// Wait before acknowledging is tried again while Redis is away, and the longest such wait.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Tries after which acknowledging is given up. The entries are then delivered again, to be
/// recognised at the ledger; that costs work and breaks nothing.
const TRIES_MAX: u32 = 20;

/// Acknowledges the stream entries of a committed batch and deletes them, in one round trip, so that
/// Redis holds the backlog and nothing more.
///
/// A batch that has not committed cannot be passed: only the commit makes a [`CommittedBatch`].
pub(crate) async fn acknowledge(group: &Group, counters: &Counters, committed: CommittedBatch) {
    let entries = committed.entries();
    if entries.is_empty() {
        return;
    }
    for tries in 1..=TRIES_MAX {
        match group.remove_all(entries).await {
            Ok(()) => break,
            Err(error) => {
                counters.waits.inc();
                tracing::warn!(entries = entries.len(), tries, %error, "Committed entries could not be acknowledged.");
                tokio::time::sleep(backoff(WAIT_FIRST, WAIT_MAX, tries, rand::random())).await;
            }
        }
    }
}
