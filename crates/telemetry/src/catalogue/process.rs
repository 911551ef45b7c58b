//! Metrics of every process.

use super::{Kind, Metric, metric, named, one_of};

/// The version that runs.
pub const BUILD_INFO: Metric = metric(
    "harkara_build_info",
    Kind::Gauge,
    &[named("version", "the version of the binary")],
    "1, with the version of the binary as a label",
);

/// Spans by what became of them.
pub const TELEMETRY_SPANS: Metric = metric(
    "harkara_telemetry_spans_total",
    Kind::Counter,
    &[one_of("outcome", &["exported", "dropped", "failed"])],
    "Spans by what became of them: the collector took them, too many waited for it, or it did not take them",
);

/// Exports of metrics by what became of them.
pub const TELEMETRY_METRIC_EXPORTS: Metric = metric(
    "harkara_telemetry_metric_exports_total",
    Kind::Counter,
    &[one_of("outcome", &["exported", "failed"])],
    "Exports of these metrics by what became of them: the collector took them, or it did not",
);

/// All of them.
pub(super) const PROCESS: &[&Metric] = &[&BUILD_INFO, &TELEMETRY_SPANS, &TELEMETRY_METRIC_EXPORTS];
