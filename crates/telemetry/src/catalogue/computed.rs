//! Gauges that are computed when they are scraped.

use std::fmt;

use prometheus_client::encoding::{EncodeGaugeValue, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// Gauges by the values of one label.
pub(super) struct Computed<F> {
    pub(super) label: &'static str,
    pub(super) values: F,
}

impl<F, L, V> EncodeMetric for Computed<F>
where
    F: Fn() -> Vec<(L, V)>,
    L: AsRef<str>,
    V: EncodeGaugeValue,
{
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (label, value) in (self.values)() {
            encoder
                .encode_family(&[(self.label, label.as_ref())])?
                .encode_gauge(&value)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl<F> fmt::Debug for Computed<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Computed").finish_non_exhaustive()
    }
}
