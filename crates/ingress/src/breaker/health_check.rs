//! Checks Redis periodically, and closes the breaker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::causes::with_causes;
use harkara_runtime::admin::{Liveness, Progress};
use harkara_settings::IngressSettings;
use harkara_streams::fitness::{Fitness, FitnessCheck, Room};

use super::Breaker;

/// Time between two checks while the breaker is closed.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The first and the longest wait before Redis is checked again while the breaker is open.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// The breaker must have been closed for this long before the waits start again at the shortest.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// Consecutive checks that may fail while appends succeed. After these, neither the durability nor the
/// backlog of Redis is known any more.
const FAILED_CHECKS_MAX: u32 = 5;

/// Fraction of a limit by which Redis must be below it before deliveries go there again.
const ROOM_DIVISOR: u64 = 20;

/// A turn of the loop that takes this long, beyond the wait for Redis, is stuck. It usually takes a tenth.
const TURN_MAX: Duration = Duration::from_secs(20);

/// The one task that closes the breaker.
pub(crate) struct HealthCheck {
    breaker: Arc<Breaker>,
    check: FitnessCheck,
    room: Room,
    progress: Arc<Progress>,
    backoff: Backoff,
}

/// The wait before the next check while the breaker is open.
struct Backoff {
    next: Duration,
    closed_since: Instant,
}

impl HealthCheck {
    pub(crate) fn new(
        breaker: Arc<Breaker>,
        check: FitnessCheck,
        ingress: &IngressSettings,
        liveness: &Liveness,
    ) -> Self {
        let turn_max = TURN_MAX + check.duration_max();
        Self {
            breaker,
            check,
            room: Room {
                memory_percent_max: ingress.redis_memory_percent_max,
                entries_max: ingress.entries_max,
            },
            progress: Arc::new(liveness.watch("health check of Redis", turn_max)),
            backoff: Backoff {
                next: RETRY_FIRST,
                closed_since: Instant::now(),
            },
        }
    }

    /// Shows on `/livez` that the check keeps running. To be kept for as long as it should run.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Runs until it is aborted.
    pub(crate) async fn run(mut self) {
        let mut n_failed = 0;
        loop {
            self.progress.touch();
            self.wait().await;
            let snapshot = self.breaker.snapshot();
            if !snapshot.is_closed() {
                self.check.reconnect();
            }
            let room = self.room();
            let checked = self.check.run(room).await;
            n_failed = if checked.is_ok() { 0 } else { n_failed + 1 };
            match checked {
                Ok(Fitness::Fit(confirmations)) => {
                    if !snapshot.is_closed() {
                        self.backoff.closed_since = Instant::now();
                    }
                    self.breaker.close(snapshot, confirmations);
                }
                Ok(Fitness::Unfit(unfit)) => self.breaker.open(unfit.into()),
                Err(error) => {
                    tracing::debug!(reason = with_causes(&error), "Redis could not be checked.");
                    if n_failed >= FAILED_CHECKS_MAX {
                        self.breaker.open(error.into());
                    }
                }
            }
            self.breaker.checks.send_modify(|n| *n += 1);
        }
    }

    /// Waits until the next check is due.
    async fn wait(&mut self) {
        while self.breaker.snapshot().is_closed() {
            if self.backoff.closed_since.elapsed() >= STABLE_AFTER {
                self.backoff.next = RETRY_FIRST;
            }
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => return,
                () = self.breaker.opened.notified() => {}
            }
        }
        let requested = self.breaker.check_now.notified();
        if tokio::time::timeout(self.backoff.next, requested)
            .await
            .is_ok()
        {
            // Many requests may ask for a check, one after another.
            tokio::time::sleep(RETRY_FIRST).await;
        }
        self.backoff.next = (self.backoff.next * 2).min(RETRY_MAX);
    }

    /// The limits of the settings. Once one was reached they are a little lower, so that deliveries do not
    /// alternate between Redis and the inbox.
    fn room(&self) -> Room {
        let lowered = |limit: u64| limit - limit / ROOM_DIVISOR;
        if self.breaker.snapshot().may_be_tried() {
            self.room
        } else {
            Room {
                memory_percent_max: lowered(self.room.memory_percent_max),
                entries_max: lowered(self.room.entries_max),
            }
        }
    }
}
