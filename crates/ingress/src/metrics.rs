//! Metrics of the ingress.

use std::time::{Duration, SystemTime};

use harkara_core::durability::Durability;
use harkara_core::signature::Refusal;
use harkara_telemetry::catalogue::{
    INGRESS_ACCEPTED_BYTES, INGRESS_ANSWER_SECONDS, INGRESS_APPEND_GROUP, INGRESS_DELIVERIES,
    INGRESS_DURABLE, INGRESS_IN_FLIGHT, INGRESS_INVALID_SIGNATURES, INGRESS_MATCHED_SECRETS,
    INGRESS_REDIS_BREAKER,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use strum::{EnumCount, VariantArray};

use crate::breaker::State;
use crate::outcome::{Rejection, RequestOutcome};

/// Latency buckets in seconds, dense around the 5 ms p99 target. Razorpay gives up after 5 s.
const ANSWER_SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0,
];

/// Buckets of group sizes, in appends.
const GROUP_APPENDS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 512.0, 4096.0];

/// Latencies; each bucket points to the trace of a delivery in it.
type AnswerSeconds = HistogramWithExemplars<[(&'static str, String); 1]>;

/// Counters resolved once, so that counting on the hot path is one atomic addition.
#[derive(Clone)]
pub(crate) struct Counters {
    outcomes: [Counter; RequestOutcome::COUNT],
    refusals: [Counter; Refusal::COUNT],
    accepted_bytes: Counter,
    levels: [Counter; Durability::ALL.len()],
    /// By the newest secret, by an older one.
    matched: [Counter; 2],
    /// In the order of [`answer_kind`].
    answer_seconds: [AnswerSeconds; 3],
    in_flight: Gauge,
    pub(crate) append_group: Histogram,
}

/// Counts something as in flight for as long as this lives.
pub(crate) struct InFlight(Gauge);

/// The gauges of the breaker's states: 1 for the current one.
pub(crate) struct BreakerGauge([Gauge; State::VARIANTS.len()]);

impl Counters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let append_group = Histogram::new(GROUP_APPENDS);
        Self {
            outcomes: INGRESS_DELIVERIES.per_value(registry, Counter::default),
            refusals: INGRESS_INVALID_SIGNATURES.per_value(registry, Counter::default),
            accepted_bytes: INGRESS_ACCEPTED_BYTES.registered(registry, Counter::default()),
            levels: INGRESS_DURABLE.per_value(registry, Counter::default),
            matched: INGRESS_MATCHED_SECRETS.per_value(registry, Counter::default),
            answer_seconds: INGRESS_ANSWER_SECONDS
                .per_value(registry, || AnswerSeconds::new(ANSWER_SECONDS.into_iter())),
            in_flight: INGRESS_IN_FLIGHT.registered(registry, Gauge::default()),
            append_group: INGRESS_APPEND_GROUP.registered(registry, append_group),
        }
    }

    /// Counts a request as in flight for as long as the result lives.
    pub(crate) fn begin(&self) -> InFlight {
        InFlight::new(&self.in_flight)
    }

    /// Counts a request that was answered. `trace_id` is that of its trace, if it is kept.
    pub(crate) fn end(&self, outcome: RequestOutcome, took: Duration, trace_id: Option<String>) {
        self.outcomes[outcome.index()].inc();
        let at = trace_id.is_some().then(SystemTime::now);
        let exemplar = trace_id.map(|id| [("trace_id", id)]);
        self.answer_seconds[answer_kind(outcome)].observe(took.as_secs_f64(), exemplar, at);
    }

    /// Counts a verified delivery by the position of the secret that matched.
    pub(crate) fn matched(&self, secret_position: usize) {
        self.matched[usize::from(secret_position > 0)].inc();
    }

    /// Counts the bytes of an accepted body and its level of durability.
    pub(crate) fn accepted(&self, body_bytes: usize, level: Durability) {
        self.levels[level as usize].inc();
        self.accepted_bytes.inc_by(body_bytes as u64);
    }

    /// Counts a refused signature by its reason.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refusals[refusal as usize].inc();
    }
}

/// Where the latency of an answer is counted: accepted, refused or unavailable.
fn answer_kind(outcome: RequestOutcome) -> usize {
    match outcome {
        RequestOutcome::Accepted => 0,
        RequestOutcome::Rejected(Rejection::Overloaded | Rejection::Unavailable) => 2,
        RequestOutcome::Rejected(_) => 1,
    }
}

impl InFlight {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl BreakerGauge {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        Self(INGRESS_REDIS_BREAKER.per_value(registry, Gauge::default))
    }

    /// Shows `current` as the breaker's state.
    pub(crate) fn set(&self, current: State) {
        for (state, gauge) in State::VARIANTS.iter().zip(&self.0) {
            gauge.set(i64::from(*state == current));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use strum::VariantArray;

    use super::{Counters, Durability, Refusal, Rejection, RequestOutcome};

    #[test]
    fn everything_counts_under_its_own_label() {
        let mut registry = Registry::default();
        let counters = Counters::register(&mut registry);
        let took = Duration::from_millis(3);
        let in_flight = counters.begin();
        counters.end(RequestOutcome::Accepted, took, None);
        counters.end(RequestOutcome::Accepted, took, Some("4bf9".to_owned()));
        counters.matched(0);
        for position in 1..=4 {
            counters.matched(position);
        }
        let assert_shows = |line: &str| {
            let text = scraped(&registry);
            assert!(text.contains(line), "{line} not in\n{text}");
        };
        // Each is looked for as soon as it is counted, so that none can stand under another's label.
        for rejection in Rejection::VARIANTS {
            let outcome = RequestOutcome::Rejected(*rejection);
            counters.end(outcome, took, None);
            let name = outcome.name();
            assert_shows(&format!("deliveries_total{{outcome=\"{name}\"}} 1"));
        }
        for refusal in Refusal::VARIANTS {
            counters.refused(*refusal);
            let reason = refusal.code();
            assert_shows(&format!(
                "invalid_signatures_total{{reason=\"{reason}\"}} 1"
            ));
        }
        for level in Durability::ALL {
            counters.accepted(1, level);
            assert_shows(&format!("durable_total{{level=\"{level}\"}} 1"));
        }
        for line in [
            "harkara_ingress_in_flight 1",
            "_bucket{le=\"0.003\",answer=\"accepted\"} 2 # {trace_id=\"4bf9\"} 0.003",
            "answer_seconds_count{answer=\"accepted\"} 2",
            "answer_seconds_count{answer=\"refused\"} 8",
            "answer_seconds_count{answer=\"unavailable\"} 2",
            "deliveries_total{outcome=\"accepted\"} 2",
            "matched_secrets_total{age=\"newest\"} 1",
            "matched_secrets_total{age=\"older\"} 4",
        ] {
            assert_shows(line);
        }
        drop(in_flight);
        assert!(scraped(&registry).contains("harkara_ingress_in_flight 0"));
    }

    fn scraped(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }
}
