//! Whether appends go well, as readiness and the log see it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use harkara_runtime::{clock, failure};

use super::NotAppended;

/// Failures closer together than this are one trouble, and told of once. There may be thousands a
/// second, with successes among them.
const SAME_TROUBLE: Duration = Duration::from_secs(5);

/// Whether appends went well of late, shared by all server threads.
#[derive(Default)]
pub(crate) struct AppendHealth {
    failing: AtomicBool,
    failed_at_ms: AtomicI64,
    told: AtomicBool,
}

impl AppendHealth {
    /// How long ago an append failed, where none has succeeded since.
    pub(crate) fn failing_since_last_success(&self) -> Option<Duration> {
        let failed_at_ms = || self.failed_at_ms.load(Ordering::Relaxed);
        self.failing
            .load(Ordering::Acquire)
            .then(|| since(failed_at_ms(), clock::now().millis()))
    }

    pub(super) fn succeeded(&self) {
        // The plain load keeps the common case free of contended writes.
        if self.failing.load(Ordering::Relaxed) {
            self.failing.store(false, Ordering::Release);
            if self.told.swap(false, Ordering::Relaxed) {
                tracing::info!("Redis takes deliveries again.");
            }
        }
    }

    pub(super) fn failed(&self, error: &NotAppended) {
        let now_ms = clock::now().millis();
        let before_ms = self.failed_at_ms.swap(now_ms, Ordering::Relaxed);
        self.failing.store(true, Ordering::Release);
        if since(before_ms, now_ms) >= SAME_TROUBLE {
            self.told.store(true, Ordering::Relaxed);
            let reason = failure::with_causes(error);
            tracing::error!(
                reason,
                "Redis does not take deliveries; they are answered 503."
            );
        }
    }
}

fn since(earlier_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms - earlier_ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::AppendHealth;
    use crate::append::NotAppended;

    #[test]
    fn a_success_ends_the_failing() {
        let health = AppendHealth::default();
        assert_eq!(health.failing_since_last_success(), None);
        health.failed(&NotAppended::Timeout);
        assert!(health.failing_since_last_success().is_some());
        health.succeeded();
        assert_eq!(health.failing_since_last_success(), None);
    }
}
