//! Waiting for a condition, within a bound.

use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `condition` holds, looking again and again; panics with `what` after `limit`.
pub async fn wait_until<F: AsyncFnMut() -> bool>(what: &str, limit: Duration, mut condition: F) {
    let started = Instant::now();
    while !condition().await {
        assert!(
            started.elapsed() < limit,
            "waited {limit:?} in vain until {what}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
