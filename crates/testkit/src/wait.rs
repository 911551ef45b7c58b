//! Waiting for a condition, within a bound.

use std::time::{Duration, Instant};

/// Time between two checks of a condition.
const CHECK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `condition` holds; panics with `what` after `limit`.
pub async fn wait_until<F: AsyncFnMut() -> bool>(what: &str, limit: Duration, mut condition: F) {
    let started = Instant::now();
    while !condition().await {
        assert!(
            started.elapsed() < limit,
            "timed out after {limit:?} waiting until {what}"
        );
        tokio::time::sleep(CHECK_EVERY).await;
    }
}
