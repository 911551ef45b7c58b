//! What must be done now and then. Idempotent, and takes no input.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_runtime::shutdown::Shutdown;
use harkara_storage::migrations::ensure_partitions;

use crate::batch_processor::BatchProcessor;

/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(10);

/// Time between two looks at the partitions, which are kept months ahead.
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// The same after a look that failed, most likely because a long reader was in the way.
const PARTITIONS_AGAIN: Duration = Duration::from_mins(10);

/// Removes consumers that are gone and keeps partitions ahead, until told to stop.
pub(crate) async fn run(processor: Arc<BatchProcessor>, consumer_idle: Duration, stop: Shutdown) {
    let mut partitions_at = Instant::now();
    while !stop.is_requested() {
        match processor.group.retire_idle_consumers(consumer_idle).await {
            Ok(0) => {}
            Ok(retired) => tracing::info!(
                retired,
                "Removed consumers that were idle with nothing pending."
            ),
            Err(error) => tracing::debug!(%error, "Idle consumers could not be looked for."),
        }
        if Instant::now() >= partitions_at {
            let next = match ensure_partitions(&processor.database).await {
                Ok(()) => PARTITIONS_EVERY,
                Err(error) => {
                    tracing::warn!(
                        error = error.full(),
                        "Partitions could not be kept ahead; trying again later."
                    );
                    PARTITIONS_AGAIN
                }
            };
            partitions_at = Instant::now() + next;
        }
        stop.sleep(EVERY).await;
    }
}
