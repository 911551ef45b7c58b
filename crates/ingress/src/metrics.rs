//! Metrics of the ingress.

use std::time::{Duration, SystemTime};

use harkara_core::durability::Durability;
use harkara_core::signature::Refusal;
use harkara_telemetry::catalogue::{
    self, INGRESS_ACCEPTED_BYTES, INGRESS_ANSWER_SECONDS, INGRESS_APPEND_GROUP, INGRESS_DELIVERIES,
    INGRESS_DURABLE, INGRESS_IN_FLIGHT, INGRESS_INVALID_SIGNATURES, INGRESS_MATCHED_SECRETS,
    INGRESS_REDIS_BREAKER,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use strum::VariantArray;

use crate::breaker::State;
use crate::outcome::{Outcome, Rejection};

/// Latency buckets in seconds, dense around the 5 ms p99 target. Razorpay gives up after 5 s.
const ANSWER_SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0,
];

/// Buckets of group sizes, in appends.
const GROUP_APPENDS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 512.0, 4096.0];

/// Whether the secret that matched is the newest.
const MATCHED: [&str; 2] = ["newest", "older"];

/// The kinds of answers whose latencies are counted separately.
const ANSWERS: [&str; 3] = ["accepted", "refused", "unavailable"];

const REFUSALS: [Refusal; 4] = [
    Refusal::Missing,
    Refusal::WrongLength,
    Refusal::NotHex,
    Refusal::NoMatch,
];

pub(crate) type Label = [(&'static str, &'static str); 1];

/// Latencies; each bucket points to the trace of a delivery in it.
type AnswerSeconds = HistogramWithExemplars<[(&'static str, String); 1]>;

/// Counters resolved once, so that counting on the hot path is one atomic addition.
#[derive(Clone)]
pub(crate) struct Counters {
    outcomes: [Counter; Outcome::COUNT],
    refusals: [Counter; REFUSALS.len()],
    accepted_bytes: Counter,
    levels: [Counter; Durability::ALL.len()],
    matched: [Counter; MATCHED.len()],
    answer_seconds: [AnswerSeconds; ANSWERS.len()],
    in_flight: Gauge,
    pub(crate) append_group: Histogram,
}

/// Counts something as in flight for as long as this lives.
pub(crate) struct InFlight(Gauge);

/// The gauges of the breaker's states: 1 for the present one.
pub(crate) struct BreakerGauge([Gauge; State::VARIANTS.len()]);

/// Adds an instrument to the registry and returns it.
pub(crate) fn registered<I: Metric + Clone>(
    metric: &catalogue::Metric,
    registry: &mut Registry,
    instrument: I,
) -> I {
    metric.register(registry, instrument.clone());
    instrument
}

/// Registers one instrument for each value of a label. All start at 0, so that a rate is known from the
/// first scrape on.
pub(crate) fn registered_by<I: Clone, C: MetricConstructor<I>, const N: usize>(
    metric: &catalogue::Metric,
    registry: &mut Registry,
    family: Family<Label, I, C>,
    label: &'static str,
    values: [&'static str; N],
) -> [I; N]
where
    Family<Label, I, C>: Metric + Clone,
{
    let family = registered(metric, registry, family);
    values.map(|value| family.get_or_create_owned(&[(label, value)]))
}

/// Registers one counter for each value of a label.
pub(crate) fn counters<const N: usize>(
    metric: &catalogue::Metric,
    registry: &mut Registry,
    label: &'static str,
    values: [&'static str; N],
) -> [Counter; N] {
    registered_by(
        metric,
        registry,
        Family::<_, Counter>::default(),
        label,
        values,
    )
}

impl Counters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let outcomes = Outcome::all().map(Outcome::name);
        let levels = Durability::ALL.map(Durability::as_str);
        let answer_seconds = Family::<_, AnswerSeconds, _>::new_with_constructor(|| {
            HistogramWithExemplars::new(ANSWER_SECONDS.into_iter())
        });
        Self {
            outcomes: counters(&INGRESS_DELIVERIES, registry, "outcome", outcomes),
            refusals: counters(
                &INGRESS_INVALID_SIGNATURES,
                registry,
                "reason",
                REFUSALS.map(Refusal::code),
            ),
            accepted_bytes: registered(&INGRESS_ACCEPTED_BYTES, registry, Counter::default()),
            levels: counters(&INGRESS_DURABLE, registry, "level", levels),
            matched: counters(&INGRESS_MATCHED_SECRETS, registry, "age", MATCHED),
            answer_seconds: registered_by(
                &INGRESS_ANSWER_SECONDS,
                registry,
                answer_seconds,
                "answer",
                ANSWERS,
            ),
            in_flight: registered(&INGRESS_IN_FLIGHT, registry, Gauge::default()),
            append_group: registered(
                &INGRESS_APPEND_GROUP,
                registry,
                Histogram::new(GROUP_APPENDS),
            ),
        }
    }

    /// Counts a request as in flight for as long as the result lives.
    pub(crate) fn begin(&self) -> InFlight {
        InFlight::new(&self.in_flight)
    }

    /// Counts a request that was answered. `trace_id` is that of its trace, if it is kept.
    pub(crate) fn end(&self, outcome: Outcome, took: Duration, trace_id: Option<String>) {
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

/// The index in [`ANSWERS`].
fn answer_kind(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Accepted => 0,
        Outcome::Rejected(Rejection::Overloaded | Rejection::Unavailable) => 2,
        Outcome::Rejected(_) => 1,
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
        let states = std::array::from_fn(|index| State::VARIANTS[index].name());
        let family = Family::<_, Gauge>::default();
        Self(registered_by(
            &INGRESS_REDIS_BREAKER,
            registry,
            family,
            "state",
            states,
        ))
    }

    /// Shows `present` as the breaker's state.
    pub(crate) fn set(&self, present: State) {
        for (state, gauge) in State::VARIANTS.iter().zip(&self.0) {
            gauge.set(i64::from(*state == present));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::{Counters, Outcome, REFUSALS};

    #[test]
    fn every_outcome_and_refusal_counts_under_its_own_label() {
        let mut registry = Registry::default();
        let counters = Counters::register(&mut registry);
        let took = Duration::from_millis(3);
        for outcome in Outcome::all() {
            counters.end(outcome, took, None);
        }
        counters.end(Outcome::Accepted, took, Some("4bf9".to_owned()));
        for refusal in REFUSALS {
            counters.refused(refusal);
        }
        let in_flight = counters.begin();
        let outcomes = Outcome::all().map(|outcome| {
            let times = 1 + u32::from(outcome == Outcome::Accepted);
            let name = outcome.name();
            format!("harkara_ingress_deliveries_total{{outcome=\"{name}\"}} {times}")
        });
        let refusals = REFUSALS.map(|refusal| {
            let reason = refusal.code();
            format!("harkara_ingress_invalid_signatures_total{{reason=\"{reason}\"}} 1")
        });
        let others = [
            "harkara_ingress_in_flight 1".to_owned(),
            "_bucket{le=\"0.003\",answer=\"accepted\"} 2 # {trace_id=\"4bf9\"} 0.003".to_owned(),
        ];
        let text = scraped(&registry);
        for line in outcomes.iter().chain(&refusals).chain(&others) {
            assert!(text.contains(line), "{line} not in\n{text}");
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
