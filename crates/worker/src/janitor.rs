//! Periodic clean-up. Every step is idempotent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::causes::with_causes;
use harkara_runtime::shutdown::Shutdown;
use harkara_storage::Pool;
use harkara_storage::migrations::ensure_partitions;
use harkara_streams::consumer_group::Group;

/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(10);

/// Time between two checks of the partitions, which are created months ahead.
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// The same after a failed check, most likely because a long-running reader held a lock.
const PARTITIONS_RETRY: Duration = Duration::from_mins(10);

/// Removes consumers that are gone and creates partitions ahead of time, until shutdown.
pub(crate) async fn run(
    group: Arc<Group>,
    database: Pool,
    consumer_idle: Duration,
    shutdown: Shutdown,
) {
    let mut partitions_at = Instant::now();
    while !shutdown.is_requested() {
        match group.retire_idle_consumers(consumer_idle).await {
            Ok(0) => {}
            Ok(retired) => tracing::info!(retired, "Removed idle consumers with nothing pending."),
            Err(error) => tracing::debug!(
                error = with_causes(&error),
                "Could not check for idle consumers."
            ),
        }
        if Instant::now() >= partitions_at {
            let next = match ensure_partitions(&database).await {
                Ok(()) => PARTITIONS_EVERY,
                Err(error) => {
                    tracing::warn!(
                        error = error.full(),
                        "Could not create partitions ahead of time; trying again later."
                    );
                    PARTITIONS_RETRY
                }
            };
            partitions_at = Instant::now() + next;
        }
        shutdown.sleep(EVERY).await;
    }
}
