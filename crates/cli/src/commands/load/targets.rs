//! Where a load goes, and with which secret it is signed.

use harkara_core::causes::with_causes;
use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_load::LoadTarget;
use harkara_settings::Settings;

use super::LoadOptions;
use crate::commands::receiver::{no_secret, url_of};
use crate::exit::UsageError;
use harkara_operations::secrets::DEVELOPMENT_SECRET;

/// Where deliveries go and what they are signed with.
pub(super) struct Targets {
    pub(super) urls: Vec<String>,
    pub(super) receivers: Vec<LoadTarget>,
    pub(super) secret: Secret,
}

impl Targets {
    /// What the options say, else the settings, else what development has.
    pub(super) async fn find(
        settings: &Settings,
        options: &LoadOptions,
    ) -> Result<Self, UsageError> {
        let endpoint = EndpointName::default_name();
        let urls = if options.urls.is_empty() {
            vec![url_of(settings.ingress.bind, &endpoint)?]
        } else {
            options.urls.clone()
        };
        let mut receivers = Vec::with_capacity(urls.len());
        for url in &urls {
            let target = LoadTarget::resolve(url)
                .await
                .map_err(|error| UsageError(with_causes(&error)))?;
            receivers.push(target);
        }
        let configured = || settings.endpoints.get(&endpoint)?.secrets.first().cloned();
        let is_this_machine = receivers
            .iter()
            .all(|target| target.address.ip().is_loopback());
        let secret = match options.secret.clone().or_else(configured) {
            Some(secret) => secret,
            None if settings.endpoints.is_empty() && is_this_machine => {
                Secret::new(DEVELOPMENT_SECRET)
            }
            None => return Err(no_secret(&endpoint)),
        };
        Ok(Self {
            urls,
            receivers,
            secret,
        })
    }
}
