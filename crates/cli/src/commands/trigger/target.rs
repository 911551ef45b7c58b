//! Where to send, and with which secret to sign.

use std::net::IpAddr;

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_settings::Settings;
use harkara_simulator::send::Destination;

use super::TriggerOptions;
use crate::commands::receiver::{no_secret, url_of};
use crate::exit::UsageError;
use harkara_operations::secrets::DEVELOPMENT_SECRET;

/// Where deliveries go and what they are signed with.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) destination: Destination,
    pub(super) secret: Secret,
    /// No secret was given, and none is configured.
    pub(super) is_development_secret: bool,
}

impl Target {
    /// What the options say, else the settings, else what development has.
    pub(super) fn find(settings: &Settings, options: &TriggerOptions) -> Result<Self, UsageError> {
        let url = match &options.url {
            Some(url) => url.clone(),
            None => url_of(settings.ingress.bind, &options.endpoint)?,
        };
        let destination =
            Destination::parse(&url).map_err(|error| UsageError(error.to_string()))?;
        let configured = || {
            settings
                .endpoints
                .get(&options.endpoint)?
                .secrets
                .first()
                .cloned()
        };
        let given = options.secret.clone().or_else(configured);
        let is_development_secret = given.is_none()
            && settings.endpoints.is_empty()
            && options.endpoint == EndpointName::default_name()
            && is_loopback(&destination);
        let secret = match given {
            Some(secret) => secret,
            None if is_development_secret => Secret::new(DEVELOPMENT_SECRET),
            None => return Err(no_secret(&options.endpoint)),
        };
        Ok(Self {
            url,
            destination,
            secret,
            is_development_secret,
        })
    }
}

fn is_loopback(destination: &Destination) -> bool {
    let address = destination.address();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Destination, is_loopback};

    #[test]
    fn only_this_machine_is_signed_for_with_the_development_secret() {
        for (url, is_this_machine) in [
            ("http://127.0.0.1:8080/", true),
            ("http://localhost/", true),
            ("http://[::1]:8080/", true),
            ("http://10.0.0.7:8080/", false),
            ("http://localhost.example.com/", false),
        ] {
            assert_eq!(
                is_loopback(&Destination::parse(url).unwrap()),
                is_this_machine,
                "{url}"
            );
        }
    }
}
