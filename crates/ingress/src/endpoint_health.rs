//! How long an endpoint has been failing: Razorpay disables one that answers only errors for a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harkara_core::endpoint::EndpointName;
use harkara_telemetry::catalogue::{INGRESS_DISABLED_IN_SECONDS, INGRESS_FAILING_STREAK};
use prometheus_client::registry::Registry;

use crate::rules::Endpoint;

/// Razorpay disables an endpoint without any 2xx for this long; somebody has to enable it by hand
/// (Razorpay's documentation of webhooks, "best practices").
const DISABLED_AFTER: Duration = Duration::from_hours(24);

/// The failing answers of one endpoint since its last 2xx. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EndpointHealth(Arc<Streak>);

#[derive(Debug)]
struct Streak {
    began: Instant,
    /// 1 + the milliseconds from `began` to the first failing answer; 0 while there is none.
    failing_since: AtomicU64,
    failing: AtomicU64,
}

impl EndpointHealth {
    pub(crate) fn new(began: Instant) -> Self {
        Self(Arc::new(Streak {
            began,
            failing_since: AtomicU64::new(0),
            failing: AtomicU64::new(0),
        }))
    }

    /// Records a 2xx, which ends the streak.
    pub(crate) fn succeeded(&self) {
        // Reading is cheaper than writing where many threads do it.
        if self.0.failing_since.load(Ordering::Relaxed) != 0 {
            self.0.failing_since.store(0, Ordering::Relaxed);
            self.0.failing.store(0, Ordering::Relaxed);
        }
    }

    /// Records another answer.
    pub(crate) fn failed(&self) {
        self.0.failing.fetch_add(1, Ordering::Relaxed);
        if self.0.failing_since.load(Ordering::Relaxed) == 0 {
            // Threads that race here store the same moment.
            let now = self.millis_at(Instant::now()) + 1;
            self.0.failing_since.store(now, Ordering::Relaxed);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 answers")]
    fn failing(&self) -> f64 {
        self.0.failing.load(Ordering::Relaxed) as f64
    }

    /// The time until the endpoint is disabled if it keeps failing.
    fn disabled_in(&self, now: Instant) -> Duration {
        let failing_since = self.0.failing_since.load(Ordering::Relaxed);
        failing_since
            .checked_sub(1)
            .map_or(DISABLED_AFTER, |since| {
                let lasted = self.millis_at(now).saturating_sub(since);
                DISABLED_AFTER.saturating_sub(Duration::from_millis(lasted))
            })
    }

    fn millis_at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.0.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// Adds the health of the endpoints to the metrics.
pub(crate) fn register(endpoints: &[Endpoint], registry: &mut Registry) {
    let of_each = |value: fn(&EndpointHealth) -> f64| {
        let endpoints: Vec<(EndpointName, EndpointHealth)> = endpoints
            .iter()
            .map(|endpoint| (endpoint.name.clone(), endpoint.health.clone()))
            .collect();
        move || {
            let endpoints = endpoints.iter();
            let values = endpoints.map(|(name, health)| (name.to_string(), value(health)));
            values.collect()
        }
    };
    INGRESS_FAILING_STREAK.computed(registry, of_each(EndpointHealth::failing));
    let disabled_in = |health: &EndpointHealth| health.disabled_in(Instant::now()).as_secs_f64();
    INGRESS_DISABLED_IN_SECONDS.computed(registry, of_each(disabled_in));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{DISABLED_AFTER, EndpointHealth};

    #[test]
    fn a_streak_lasts_from_the_first_failure_until_a_success() {
        let health = EndpointHealth::new(Instant::now());
        assert_eq!(health.disabled_in(Instant::now()), DISABLED_AFTER);
        health.failed();
        health.failed();
        assert!(health.failing() > 1.5);
        let in_an_hour = Instant::now() + Duration::from_hours(1);
        let left = health.disabled_in(in_an_hour);
        assert!(left <= Duration::from_hours(23), "{left:?}");
        let in_two_days = Instant::now() + Duration::from_hours(48);
        assert_eq!(health.disabled_in(in_two_days), Duration::ZERO);
        health.succeeded();
        assert_eq!(health.disabled_in(in_an_hour), DISABLED_AFTER);
        assert!(health.failing() < 0.5);
    }
}
