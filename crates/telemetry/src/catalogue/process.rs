//! Metrics of every process.

use super::{metrics, named, one_of};

metrics! { PROCESS:
    BUILD_INFO = Gauge "harkara_build_info" [named("version", "the version of the binary")]
        "Always 1; the version of the binary is a label";
    TELEMETRY_SPANS = Counter "harkara_telemetry_spans_total"
        [one_of("outcome", &["exported", "dropped", "failed"])]
        "Spans, by outcome: exported, dropped from a full queue, or not taken by the collector";
    TELEMETRY_METRIC_EXPORTS = Counter "harkara_telemetry_metric_exports_total"
        [one_of("outcome", &["exported", "failed"])]
        "Exports of these metrics, by whether the collector took them";
    LOG_LINES_DROPPED = Counter "harkara_log_lines_dropped_total" []
        "Log lines dropped because standard error took no more: its reader stands still or has gone, or the disk is full";
}
