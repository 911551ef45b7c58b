//! Bounds how often something is logged: a flood must not fill the log.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Least milliseconds between two log lines.
const LOG_EVERY_MS: u64 = 60_000;

/// Permits one line a minute, whichever thread logs it.
pub(crate) struct LogLimit {
    started_at: Instant,
    log_from_ms: AtomicU64,
}

impl LogLimit {
    pub(crate) fn new() -> Self {
        Self {
            started_at: Instant::now(),
            log_from_ms: AtomicU64::new(0),
        }
    }

    /// Whether a line may be logged now.
    pub(crate) fn permits(&self) -> bool {
        let now_ms = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let from_ms = self.log_from_ms.load(Relaxed);
        let next_ms = now_ms.saturating_add(LOG_EVERY_MS);
        now_ms >= from_ms
            && self
                .log_from_ms
                .compare_exchange(from_ms, next_ms, Relaxed, Relaxed)
                .is_ok()
    }
}
