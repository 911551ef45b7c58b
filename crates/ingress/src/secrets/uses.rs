//! How often and when last each live secret verified a delivery.

use std::sync::atomic::AtomicI64;

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Fingerprint;
use harkara_core::time::ReceivedAt;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The metrics of all secrets: no more than those that are live. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Uses {
    used: Family<Label, Counter>,
    last_used: Family<Label, LastUsed>,
}

/// The metrics of one secret.
pub(super) struct Use {
    used: Counter,
    last_used: LastUsed,
}

type Label = [(&'static str, String); 2];
type LastUsed = Gauge<i64, AtomicI64>;

impl Uses {
    /// Registers the metrics.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let used = Family::<Label, Counter>::default();
        registry.register(
            "harkara_ingress_secret_used",
            "Deliveries by the live secret that verified them, which its fingerprint names",
            used.clone(),
        );
        let last_used = Family::<Label, LastUsed>::default();
        registry.register_with_unit(
            "harkara_ingress_secret_last_used_timestamp",
            "When a live secret last verified a delivery in this process; 0 for never",
            Unit::Seconds,
            last_used.clone(),
        );
        Self { used, last_used }
    }

    /// The metrics of a secret; they begin at 0, or where they were.
    pub(super) fn of(&self, endpoint: &EndpointName, fingerprint: Fingerprint) -> Use {
        let label = label(endpoint, fingerprint);
        Use {
            used: self.used.get_or_create_owned(&label),
            last_used: self.last_used.get_or_create_owned(&label),
        }
    }

    /// Drops the metrics of a secret that is gone.
    pub(super) fn forget(&self, endpoint: &EndpointName, fingerprint: Fingerprint) {
        let label = label(endpoint, fingerprint);
        self.used.remove(&label);
        self.last_used.remove(&label);
    }
}

impl Use {
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
