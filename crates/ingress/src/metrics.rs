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
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::breaker::STATES;

/// Upper bounds of the classes of answer times, in seconds. Narrow around 5 ms, which 99 of 100 answers are
/// meant to stay below; Razorpay gives up after 5 s.
const ANSWER_SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0,
];

/// Upper bounds of the classes of groups, in appends.
const GROUP_APPENDS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 512.0, 4096.0];

/// What became of a delivery. One for each answer of the webhook routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    InvalidSignature,
    UnknownEndpoint,
    TooLarge,
    HeadersTooLarge,
    Timeout,
    Incomplete,
    Forbidden,
    RateLimited,
    Overloaded,
    Unavailable,
}

type Label = [(&'static str, &'static str); 1];

/// Points from a class to the trace of a delivery in it.
type AnswerSeconds = HistogramWithExemplars<[(&'static str, String); 1]>;

/// Counters resolved once, so that counting on the hot path is one atomic addition.
#[derive(Clone)]
pub(crate) struct Counters {
    outcomes: [Counter; Outcome::ALL.len()],
    refusals: [Counter; REFUSALS.len()],
    accepted_bytes: Counter,
    levels: [Counter; Durability::ALL.len()],
    matched: [Counter; 2],
    answer_seconds: [AnswerSeconds; ANSWERS.len()],
    in_flight: Gauge,
    pub(crate) append_group: Histogram,
}

/// Whether the secret that fitted is the newest.
const MATCHED: [&str; 2] = ["newest", "older"];

/// The kinds of answers whose times are told apart.
const ANSWERS: [&str; 3] = ["accepted", "refused", "unavailable"];

/// Something that is in hand, and counted for as long as this lives.
pub(crate) struct InHand(Gauge);

const REFUSALS: [Refusal; 4] = [
    Refusal::Missing,
    Refusal::WrongLength,
    Refusal::NotHex,
    Refusal::NoMatch,
];

impl Outcome {
    const ALL: [Self; 11] = [
        Self::Accepted,
        Self::InvalidSignature,
        Self::UnknownEndpoint,
        Self::TooLarge,
        Self::HeadersTooLarge,
        Self::Timeout,
        Self::Incomplete,
        Self::Forbidden,
        Self::RateLimited,
        Self::Overloaded,
        Self::Unavailable,
    ];

    /// Where its time is counted in [`ANSWERS`].
    fn answer(self) -> usize {
        match self {
            Self::Accepted => 0,
            Self::Overloaded | Self::Unavailable => 2,
            _ => 1,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::InvalidSignature => "invalid_signature",
            Self::UnknownEndpoint => "unknown_endpoint",
            Self::TooLarge => "too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Timeout => "timeout",
            Self::Incomplete => "incomplete",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Counters {
    /// Registers the counters; all start at 0, so that a rate is known from the first scrape on.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let outcomes = Family::<Label, Counter>::default();
        INGRESS_DELIVERIES.register(registry, outcomes.clone());
        let refusals = Family::<Label, Counter>::default();
        INGRESS_INVALID_SIGNATURES.register(registry, refusals.clone());
        let accepted_bytes = Counter::default();
        INGRESS_ACCEPTED_BYTES.register(registry, accepted_bytes.clone());
        let levels = Family::<Label, Counter>::default();
        INGRESS_DURABLE.register(registry, levels.clone());
        let matched = Family::<Label, Counter>::default();
        INGRESS_MATCHED_SECRETS.register(registry, matched.clone());
        let answer_seconds = Family::<Label, AnswerSeconds>::new_with_constructor(|| {
            HistogramWithExemplars::new(ANSWER_SECONDS.into_iter())
        });
        INGRESS_ANSWER_SECONDS.register(registry, answer_seconds.clone());
        let in_flight = Gauge::default();
        INGRESS_IN_FLIGHT.register(registry, in_flight.clone());
        let append_group = Histogram::new(GROUP_APPENDS);
        INGRESS_APPEND_GROUP.register(registry, append_group.clone());
        Self {
            matched: MATCHED.map(|age| matched.get_or_create_owned(&[("age", age)])),
            answer_seconds: ANSWERS
                .map(|answer| answer_seconds.get_or_create_owned(&[("answer", answer)])),
            in_flight,
            append_group,
            levels: Durability::ALL
                .map(|level| levels.get_or_create_owned(&[("level", level.as_str())])),
            outcomes: Outcome::ALL
                .map(|outcome| outcomes.get_or_create_owned(&[("outcome", outcome.code())])),
            refusals: REFUSALS
                .map(|refusal| refusals.get_or_create_owned(&[("reason", refusal.code())])),
            accepted_bytes,
        }
    }

    /// Counts a request for as long as it is in hand.
    pub(crate) fn begin(&self) -> InHand {
        InHand::new(&self.in_flight)
    }

    /// Counts a delivery that came to its end. `trace_id` is that of its trace, where that is kept.
    pub(crate) fn end(&self, outcome: Outcome, took: Duration, trace_id: Option<String>) {
        self.outcomes[outcome as usize].inc();
        let at = trace_id.is_some().then(SystemTime::now);
        let exemplar = trace_id.map(|id| [("trace_id", id)]);
        self.answer_seconds[outcome.answer()].observe(took.as_secs_f64(), exemplar, at);
    }

    /// Counts a rightly signed delivery by the place of the secret that fitted.
    pub(crate) fn matched(&self, secret_position: usize) {
        self.matched[usize::from(secret_position > 0)].inc();
    }

    /// Counts the bytes of an accepted body and how durable it is.
    pub(crate) fn accepted(&self, body_bytes: usize, level: Durability) {
        self.levels[level as usize].inc();
        self.accepted_bytes.inc_by(body_bytes as u64);
    }

    /// Counts why a signature was refused.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refusals[refusal as usize].inc();
    }
}

impl InHand {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Tells which state the breaker before Redis is in.
pub(crate) struct BreakerGauge([Gauge; STATES.len()]);

impl BreakerGauge {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let states = Family::<Label, Gauge>::default();
        INGRESS_REDIS_BREAKER.register(registry, states.clone());
        Self(STATES.map(|state| states.get_or_create_owned(&[("state", state)])))
    }

    /// The breaker is in the state of this name now.
    pub(crate) fn set(&self, name: &str) {
        for (state, gauge) in STATES.iter().zip(&self.0) {
            gauge.set(i64::from(*state == name));
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
        for outcome in Outcome::ALL {
            counters.end(outcome, Duration::from_millis(3), None);
        }
        counters.end(
            Outcome::Accepted,
            Duration::from_millis(3),
            Some("4bf9".to_owned()),
        );
        let in_hand = counters.begin();
        for refusal in REFUSALS {
            counters.refused(refusal);
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for outcome in Outcome::ALL {
            let times = 1 + u32::from(outcome == Outcome::Accepted);
            let line = format!(
                "harkara_ingress_deliveries_total{{outcome=\"{}\"}} {times}",
                outcome.code()
            );
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
        let exemplar = "_bucket{le=\"0.003\",answer=\"accepted\"} 2 # {trace_id=\"4bf9\"} 0.003";
        for told in ["harkara_ingress_in_flight 1", exemplar] {
            assert!(text.contains(told), "{told} not in\n{text}");
        }
        drop(in_hand);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("harkara_ingress_in_flight 0"), "{text}");
        for refusal in REFUSALS {
            let line = format!(
                "harkara_ingress_invalid_signatures_total{{reason=\"{}\"}} 1",
                refusal.code()
            );
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
    }
}
