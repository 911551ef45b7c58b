//! Where to send, and with which secret to sign.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_runtime::settings::Settings;
use harkara_simulator::send::Destination;

use super::TriggerOptions;
use crate::exit::UsedWrongly;

/// The one secret of the endpoint `default` in development. Everybody knows it, so signing with it
/// gives nothing away.
pub(in crate::commands) const DEVELOPMENT_SECRET: &str = "harkara-dev-secret";

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
    pub(super) fn find(settings: &Settings, options: &TriggerOptions) -> Result<Self, UsedWrongly> {
        let url = match &options.url {
            Some(url) => url.clone(),
            None => url_of(settings.ingress.bind, &options.endpoint)?,
        };
        let destination =
            Destination::parse(&url).map_err(|error| UsedWrongly(error.to_string()))?;
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

/// Where an ingress takes deliveries of an endpoint, by its settings.
pub(in crate::commands) fn url_of(
    bind: SocketAddr,
    endpoint: &EndpointName,
) -> Result<String, UsedWrongly> {
    if bind.port() == 0 {
        return Err(UsedWrongly(
            "ingress.bind has port 0, so the ingress's port is not known here; give --url"
                .to_owned(),
        ));
    }
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, bind.port());
    let path = if *endpoint == EndpointName::default_name() {
        String::new()
    } else {
        format!("/{endpoint}")
    };
    Ok(format!("http://{address}/webhooks/razorpay{path}"))
}

pub(in crate::commands) fn no_secret(endpoint: &EndpointName) -> UsedWrongly {
    UsedWrongly(format!(
        "no secret of the endpoint {:?} is known here; give --secret, or set endpoints.{endpoint}.secrets \
         (HARKARA__ENDPOINTS__{}__SECRETS)",
        endpoint.as_str(),
        endpoint.as_str().to_uppercase()
    ))
}

fn is_loopback(destination: &Destination) -> bool {
    let address = destination.address();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Destination, EndpointName, is_loopback, url_of};

    #[test]
    fn the_url_follows_from_where_the_ingress_listens() {
        let live = EndpointName::parse("live").unwrap();
        for (bind, endpoint, url) in [
            (
                "0.0.0.0:8080",
                EndpointName::default_name(),
                "http://127.0.0.1:8080/webhooks/razorpay",
            ),
            (
                "[::]:8080",
                live.clone(),
                "http://[::1]:8080/webhooks/razorpay/live",
            ),
            (
                "10.0.0.7:80",
                live.clone(),
                "http://10.0.0.7:80/webhooks/razorpay/live",
            ),
        ] {
            assert_eq!(url_of(bind.parse().unwrap(), &endpoint).unwrap(), url);
        }
        assert!(url_of("0.0.0.0:0".parse().unwrap(), &live).is_err());
    }

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
