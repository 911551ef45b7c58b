//! Metrics of every process.

use super::{Kind, Metric, metric, one_of};

/// Spans by what became of them.
pub const TELEMETRY_SPANS: Metric = metric(
    "harkara_telemetry_spans_total",
    Kind::Counter,
    &[one_of("outcome", &["exported", "dropped", "failed"])],
    "Spans by what became of them: the collector took them, too many waited for it, or it did not take them",
);

/// All of them.
pub(super) const PROCESS: &[&Metric] = &[&TELEMETRY_SPANS];
