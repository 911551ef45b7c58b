//! The connections to PostgreSQL and whether they are in use, asked for when they are scraped.

use std::fmt;

use harkara_storage::Pool;
use harkara_telemetry::catalogue::WORKER_POOL_CONNECTIONS;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

struct Connections(Pool);

/// Shows how a pool is used.
pub(crate) fn register(pool: Pool, registry: &mut Registry) {
    WORKER_POOL_CONNECTIONS.register(registry, Connections(pool));
}

impl EncodeMetric for Connections {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let used = self.0.use_now();
        for (state, n_connections) in [("in_use", used.in_use), ("idle", used.idle)] {
            let n_connections = i64::try_from(n_connections).unwrap_or(i64::MAX);
            encoder
                .encode_family(&[("state", state)])?
                .encode_gauge(&n_connections)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connections")
            .finish_non_exhaustive()
    }
}
