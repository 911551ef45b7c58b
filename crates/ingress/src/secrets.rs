//! The live secrets of an endpoint: replaced as a whole while requests are served, without a lock.

mod reload;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use harkara_core::delivery::VerifiedDelivery;
use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_core::signature::EndpointSecrets;
use harkara_settings::EndpointSettings;
use prometheus_client::registry::Registry;

pub(crate) use reload::SecretsReload;
use usage::{SecretUsage, Usage};

/// Removed secrets of an endpoint that are kept to diagnose refused deliveries.
const RETIRED_MAX: usize = 4;

/// The secrets of one endpoint, shared by all server threads.
pub(crate) struct LiveSecrets {
    pub(crate) endpoint: EndpointName,
    file: Option<PathBuf>,
    /// For diagnosis only.
    pub(crate) diagnose_with: Vec<Secret>,
    usage: SecretUsage,
    current: ArcSwap<SecretSet>,
}

/// The secrets between two reloads.
pub(crate) struct SecretSet {
    /// The keys that deliveries are verified with.
    pub(crate) keys: EndpointSecrets,
    /// Newest first, as in `keys`.
    pub(crate) live: Vec<Secret>,
    /// In the same order.
    used: Vec<Usage>,
    /// Removed by reloads, the latest first; for diagnosis only.
    pub(crate) retired: Vec<Secret>,
}

impl LiveSecrets {
    /// The secrets of all endpoints, in the order of their settings.
    pub(crate) fn of_all(
        endpoints: &BTreeMap<EndpointName, EndpointSettings>,
        registry: &mut Registry,
    ) -> Vec<Arc<Self>> {
        let usage = SecretUsage::register(registry);
        let endpoints = endpoints.iter();
        endpoints
            .map(|(name, settings)| Arc::new(Self::new(name, settings, &usage)))
            .collect()
    }

    fn new(endpoint: &EndpointName, settings: &EndpointSettings, usage: &SecretUsage) -> Self {
        let live = settings.secrets.clone();
        let first = SecretSet::new(endpoint, live, Vec::new(), usage);
        Self {
            endpoint: endpoint.clone(),
            file: settings.secrets_file.clone(),
            diagnose_with: settings.diagnose_with.clone(),
            usage: usage.clone(),
            current: ArcSwap::from_pointee(first),
        }
    }

    /// The current secrets: one atomic load.
    pub(crate) fn load(&self) -> Guard<Arc<SecretSet>> {
        self.current.load()
    }

    /// Replaces the current secrets with valid ones. Only one task may do so.
    fn replace(&self, live: Vec<Secret>) {
        let before = self.current.load_full();
        let mut retired: Vec<Secret> = before.live.iter().chain(&before.retired).cloned().collect();
        retired.retain(|secret| !live.contains(secret));
        retired.truncate(RETIRED_MAX);
        let next = SecretSet::new(&self.endpoint, live, retired, &self.usage);
        let fingerprints = before.keys.fingerprints().iter();
        for fingerprint in fingerprints.filter(|print| !next.keys.fingerprints().contains(print)) {
            self.usage.forget(&self.endpoint, *fingerprint);
        }
        self.current.store(Arc::new(next));
    }
}

impl SecretSet {
    fn new(
        endpoint: &EndpointName,
        live: Vec<Secret>,
        retired: Vec<Secret>,
        usage: &SecretUsage,
    ) -> Self {
        let keys = EndpointSecrets::new(&live).expect("secrets are checked when they are read");
        let fingerprints = keys.fingerprints().iter();
        Self {
            used: fingerprints
                .map(|print| usage.of(endpoint, *print))
                .collect(),
            keys,
            live,
            retired,
        }
    }

    /// Counts a delivery that one of these secrets verified.
    pub(crate) fn count_use(&self, verified: &VerifiedDelivery) {
        self.used[verified.secret_position()].count(verified.received_at());
    }
}

#[cfg(test)]
mod tests {
    use harkara_core::endpoint::EndpointName;
    use harkara_core::secret::Secret;
    use harkara_settings::EndpointSettings;
    use prometheus_client::registry::Registry;

    use super::{LiveSecrets, RETIRED_MAX, SecretUsage};

    fn secrets(names: &[&str]) -> Vec<Secret> {
        names.iter().map(|name| Secret::new(*name)).collect()
    }

    #[test]
    fn removed_secrets_are_kept_for_diagnosis_up_to_a_bound() {
        let settings = EndpointSettings {
            secrets: secrets(&["a"]),
            ..EndpointSettings::default()
        };
        let usage = SecretUsage::register(&mut Registry::default());
        let live = LiveSecrets::new(&EndpointName::default_name(), &settings, &usage);
        for (next, retired) in [
            (&["b", "a"][..], &[][..]),
            (&["c", "b"], &["a"]),
            (&["d"], &["c", "b", "a"]),
            (&["a"], &["d", "c", "b"]),
            (&["e", "f"], &["a", "d", "c", "b"]),
            (&["g"], &["e", "f", "a", "d"]),
        ] {
            live.replace(secrets(next));
            let set = live.load();
            assert_eq!(set.live, secrets(next));
            assert_eq!(set.retired, secrets(retired));
            assert!(set.retired.len() <= RETIRED_MAX);
        }
    }
}
