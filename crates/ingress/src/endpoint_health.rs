//! How long an endpoint has been failing: Razorpay disables one that answers nothing but errors for a day.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harkara_core::endpoint::EndpointName;
use harkara_telemetry::catalogue::{INGRESS_DISABLED_IN_SECONDS, INGRESS_FAILING_STREAK};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// After so long without any 2xx Razorpay disables an endpoint, and someone has to enable it by hand
/// (Razorpay's documentation of webhooks, "best practices").
const DISABLED_AFTER: Duration = Duration::from_hours(24);

/// The answers of one endpoint since the last 2xx.
#[derive(Clone, Debug)]
pub(crate) struct EndpointHealth(Arc<Since>);

#[derive(Debug)]
struct Since {
    began: Instant,
    /// Milliseconds from `began` to the first failing answer of the health, and one; 0 while there is none.
    failing_at: AtomicU64,
    failing: AtomicU64,
}

impl EndpointHealth {
    pub(crate) fn new(began: Instant) -> Self {
        Self(Arc::new(Since {
            began,
            failing_at: AtomicU64::new(0),
            failing: AtomicU64::new(0),
        }))
    }

    /// An answer was 2xx: the health is over.
    pub(crate) fn succeeded(&self) {
        // Reading is cheaper than writing where many threads do it.
        if self.0.failing_at.load(Ordering::Relaxed) != 0 {
            self.0.failing_at.store(0, Ordering::Relaxed);
            self.0.failing.store(0, Ordering::Relaxed);
        }
    }

    /// Another answer was not.
    pub(crate) fn failed(&self) {
        self.0.failing.fetch_add(1, Ordering::Relaxed);
        if self.0.failing_at.load(Ordering::Relaxed) == 0 {
            // Whoever is first, it is the same moment.
            let now = self.millis_at(Instant::now()) + 1;
            self.0.failing_at.store(now, Ordering::Relaxed);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
    fn failing(&self) -> f64 {
        self.0.failing.load(Ordering::Relaxed) as f64
    }

    /// The time until the endpoint is disabled if nothing changes.
    fn disabled_in(&self, now: Instant) -> Duration {
        match self.0.failing_at.load(Ordering::Relaxed).checked_sub(1) {
            None => DISABLED_AFTER,
            Some(since) => {
                let lasts = self.millis_at(now).saturating_sub(since);
                DISABLED_AFTER.saturating_sub(Duration::from_millis(lasts))
            }
        }
    }

    fn millis_at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.0.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// The streaks of some endpoints as one metric.
#[derive(Debug)]
struct Shown {
    endpoints: Vec<(EndpointName, EndpointHealth)>,
    value: fn(&EndpointHealth) -> f64,
}

/// Shows the streaks of all endpoints among the metrics.
pub(crate) fn register(endpoints: Vec<(EndpointName, EndpointHealth)>, registry: &mut Registry) {
    let shown = |endpoints, value| Shown { endpoints, value };
    let failing = shown(endpoints.clone(), EndpointHealth::failing);
    INGRESS_FAILING_STREAK.register(registry, failing);
    let disabled_in = |health: &EndpointHealth| health.disabled_in(Instant::now()).as_secs_f64();
    INGRESS_DISABLED_IN_SECONDS.register(registry, shown(endpoints, disabled_in));
}

impl EncodeMetric for Shown {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (endpoint, health) in &self.endpoints {
            let label = [("endpoint", endpoint.as_str())];
            encoder
                .encode_family(&label)?
                .encode_gauge(&(self.value)(health))?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{DISABLED_AFTER, EndpointHealth};

    #[test]
    fn a_streak_runs_from_its_first_failure_until_a_success() {
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
