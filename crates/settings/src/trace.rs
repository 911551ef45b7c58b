//! Section `trace`.

use std::time::Duration;

use crate::catalogue::{FLAG, HOUR_MS, Setting, count, millis, setting};
use crate::reader::SettingsReader;

/// Section `trace`.
#[derive(Clone, Copy, Debug)]
pub struct TraceSettings {
    /// Maximum ordinary traces kept per second.
    pub ordinary_per_s_max: u32,
    /// Deliveries that take longer are always kept.
    pub slow: Duration,
    /// Whether processing is a trace of its own.
    pub links_only: bool,
}

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("trace.ordinary_per_s_max", "100", count(0, 1_000_000),
        "Maximum number of traces that one process keeps per second, of those that the sampler (`OTEL_TRACES_SAMPLER`) keeps and no caller requested. Failed, retried and slow deliveries are kept in addition."),
    setting("trace.slow_ms", "1000", millis(1, HOUR_MS),
        "A delivery that takes longer until its answer, or from its receipt to its commit, is kept regardless of the sampler."),
    setting("trace.links_only", "false", FLAG,
        "`true`: processing is a trace of its own that links to the delivery's; `false`: it continues the delivery's trace."),
];

impl TraceSettings {
    pub(crate) fn read(r: &mut SettingsReader) -> Self {
        Self {
            ordinary_per_s_max: r.whole("trace.ordinary_per_s_max"),
            slow: r.millis("trace.slow_ms"),
            links_only: r.flag("trace.links_only"),
        }
    }
}
