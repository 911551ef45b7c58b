//! Periodic clean-up. Every step is idempotent.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_runtime::shutdown::Shutdown;
use harkara_streams::consumer_group::Group;

/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(10);

/// Removes consumers that are gone, until shutdown.
pub(crate) async fn run(group: Arc<Group>, consumer_idle: Duration, shutdown: Shutdown) {
    while !shutdown.is_requested() {
        match group.retire_idle_consumers(consumer_idle).await {
            Ok(0) => {}
            Ok(retired) => tracing::info!(retired, "Removed idle consumers with nothing pending."),
            Err(error) => tracing::debug!(
                error = with_causes(&error),
                "Could not check for idle consumers."
            ),
        }
        shutdown.sleep(EVERY).await;
    }
}
