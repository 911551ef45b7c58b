//! Metrics of the ingress.

use harkara_core::durability::Durability;
use harkara_core::signature::Refusal;
use harkara_telemetry::catalogue::{
    INGRESS_ACCEPTED_BYTES, INGRESS_DELIVERIES, INGRESS_DURABLE, INGRESS_INVALID_SIGNATURES,
    INGRESS_REDIS_BREAKER,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::breaker::STATES;

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

/// Counters resolved once, so that counting on the hot path is one atomic addition.
#[derive(Clone)]
pub(crate) struct Counters {
    outcomes: [Counter; Outcome::ALL.len()],
    refusals: [Counter; REFUSALS.len()],
    accepted_bytes: Counter,
    levels: [Counter; Durability::ALL.len()],
}

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
        Self {
            levels: Durability::ALL
                .map(|level| levels.get_or_create_owned(&[("level", level.as_str())])),
            outcomes: Outcome::ALL
                .map(|outcome| outcomes.get_or_create_owned(&[("outcome", outcome.code())])),
            refusals: REFUSALS
                .map(|refusal| refusals.get_or_create_owned(&[("reason", refusal.code())])),
            accepted_bytes,
        }
    }

    /// Counts a delivery that came to its end.
    pub(crate) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].inc();
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
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::{Counters, Outcome, REFUSALS};

    #[test]
    fn every_outcome_and_refusal_counts_under_its_own_label() {
        let mut registry = Registry::default();
        let counters = Counters::register(&mut registry);
        for outcome in Outcome::ALL {
            counters.count(outcome);
        }
        for refusal in REFUSALS {
            counters.refused(refusal);
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for outcome in Outcome::ALL {
            let line = format!(
                "harkara_ingress_deliveries_total{{outcome=\"{}\"}} 1",
                outcome.code()
            );
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
        for refusal in REFUSALS {
            let line = format!(
                "harkara_ingress_invalid_signatures_total{{reason=\"{}\"}} 1",
                refusal.code()
            );
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
    }
}
