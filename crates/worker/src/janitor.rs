//! What must be done now and then. Idempotent, and takes no input.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_runtime::stop::Stop;
use harkara_storage::migrations::ensure_partitions;

use crate::road::Road;

/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(30);

/// Time between two looks at the partitions, which are kept months ahead.
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// Removes consumers that are gone and keeps partitions ahead, until told to stop.
pub(crate) async fn run(road: Arc<Road>, consumer_idle: Duration, stop: Stop) {
    let mut partitions_at: Option<Instant> = None;
    while !stop.is_requested() {
        match road.group.retire_idle_consumers(consumer_idle).await {
            Ok(0) => {}
            Ok(retired) => tracing::info!(
                retired,
                "Removed consumers that were idle with nothing pending."
            ),
            Err(error) => tracing::debug!(%error, "Idle consumers could not be looked for."),
        }
        if partitions_at.is_none_or(|at| at.elapsed() >= PARTITIONS_EVERY) {
            match ensure_partitions(&road.store).await {
                Ok(()) => partitions_at = Some(Instant::now()),
                Err(error) => {
                    tracing::warn!(
                        error = error.full(),
                        "Partitions could not be kept ahead; trying again."
                    );
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.requested() => {}
        }
    }
}
