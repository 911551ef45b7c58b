//! The version as a metric.

use harkara_telemetry::catalogue::BUILD_INFO;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Registers the version of the workspace.
pub fn register(registry: &mut Registry) {
    let versions = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    versions
        .get_or_create(&[("version", env!("CARGO_PKG_VERSION"))])
        .set(1);
    BUILD_INFO.register(registry, versions);
}
