//! Counters of spans by outcome.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::catalogue::TELEMETRY_SPANS;

type Label = [(&'static str, &'static str); 1];

/// Spans by outcome. Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    by_outcome: Family<Label, Counter>,
    /// Taken by the collector.
    pub(crate) exported: Counter,
    /// Not queued: too many waited for the collector.
    pub(crate) dropped: Counter,
    /// Not taken by the collector.
    pub(crate) failed: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let by_outcome = Family::<Label, Counter>::default();
        let of = |outcome| by_outcome.get_or_create_owned(&[("outcome", outcome)]);
        Self {
            exported: of("exported"),
            dropped: of("dropped"),
            failed: of("failed"),
            by_outcome,
        }
    }
}

impl Counters {
    pub(crate) fn register(&self, registry: &mut Registry) {
        TELEMETRY_SPANS.register(registry, self.by_outcome.clone());
    }
}
