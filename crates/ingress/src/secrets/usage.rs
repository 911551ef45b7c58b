//! Metrics of the use of each live secret.

use std::sync::atomic::AtomicI64;

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Fingerprint;
use harkara_core::time::ReceivedAt;
use harkara_telemetry::catalogue::{INGRESS_SECRET_LAST_USED, INGRESS_SECRET_USED};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of all live secrets. Cheap to clone.
#[derive(Clone)]
pub(super) struct SecretUsage {
    used: Family<Label, Counter>,
    last_used: Family<Label, LastUsed>,
}

/// The metrics of one secret.
pub(super) struct Usage {
    used: Counter,
    last_used: LastUsed,
}

type Label = [(&'static str, String); 2];
type LastUsed = Gauge<i64, AtomicI64>;

impl SecretUsage {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            used: INGRESS_SECRET_USED.registered(registry, Family::default()),
            last_used: INGRESS_SECRET_LAST_USED.registered(registry, Family::default()),
        }
    }

    /// The metrics of a secret, which start at 0 unless it was live before.
    pub(super) fn of(&self, endpoint: &EndpointName, fingerprint: Fingerprint) -> Usage {
        let label = label(endpoint, fingerprint);
        Usage {
            used: self.used.get_or_create_owned(&label),
            last_used: self.last_used.get_or_create_owned(&label),
        }
    }

    /// Drops the metrics of a removed secret.
    pub(super) fn forget(&self, endpoint: &EndpointName, fingerprint: Fingerprint) {
        let label = label(endpoint, fingerprint);
        self.used.remove(&label);
        self.last_used.remove(&label);
    }
}

impl Usage {
    /// Counts a delivery.
    pub(super) fn count(&self, received_at: ReceivedAt) {
        self.used.inc();
        self.last_used.set(received_at.millis() / 1000);
    }
}

fn label(endpoint: &EndpointName, fingerprint: Fingerprint) -> Label {
    [
        ("endpoint", endpoint.as_str().to_owned()),
        ("secret", fingerprint.to_string()),
    ]
}
