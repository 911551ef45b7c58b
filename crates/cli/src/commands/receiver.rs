//! The ingress that receives deliveries, by its settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_operations::secrets::DEVELOPMENT_SECRET;
use harkara_settings::Settings;

use crate::exit::UsageError;

/// The URL for deliveries of an endpoint, from the address on which the ingress listens.
pub(super) fn url_of(bind: SocketAddr, endpoint: &EndpointName) -> Result<String, UsageError> {
    let address = local(bind).ok_or_else(|| {
        UsageError(
            "ingress.bind has port 0, so the ingress's port is not known here; give --url"
                .to_owned(),
        )
    })?;
    let path = if *endpoint == EndpointName::default_name() {
        String::new()
    } else {
        format!("/{endpoint}")
    };
    Ok(format!("http://{address}/webhooks/razorpay{path}"))
}

/// Where a process of this machine is reached that listens there; `None` if it takes any port.
pub(super) fn local(bind: SocketAddr) -> Option<SocketAddr> {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (bind.port() != 0).then(|| SocketAddr::new(ip, bind.port()))
}

/// The secret to sign with: the given one, else the endpoint's newest in the settings, else, for this machine
/// and settings without any endpoint, that of development.
pub(super) fn signing_secret(
    settings: &Settings,
    endpoint: &EndpointName,
    given: Option<&Secret>,
    is_this_machine: bool,
) -> Result<Secret, UsageError> {
    let configured = || settings.endpoints.get(endpoint)?.secrets.first();
    if let Some(secret) = given.or_else(configured) {
        return Ok(secret.clone());
    }
    let is_default = *endpoint == EndpointName::default_name();
    if settings.endpoints.is_empty() && is_default && is_this_machine {
        return Ok(Secret::new(DEVELOPMENT_SECRET));
    }
    Err(UsageError(format!(
        "no secret of the endpoint {:?} is known here; give --secret, or set endpoints.{endpoint}.secrets \
         (HARKARA__ENDPOINTS__{}__SECRETS)",
        endpoint.as_str(),
        endpoint.as_str().to_uppercase()
    )))
}

#[cfg(test)]
mod tests {
    use super::{EndpointName, url_of};

    #[test]
    fn the_url_follows_from_where_the_ingress_listens() {
        let url = |bind: &str, endpoint| {
            let endpoint = EndpointName::parse(endpoint).unwrap();
            url_of(bind.parse().unwrap(), &endpoint).ok()
        };
        for (bind, endpoint, expected) in [
            (
                "0.0.0.0:8080",
                "default",
                "http://127.0.0.1:8080/webhooks/razorpay",
            ),
            (
                "[::]:8080",
                "live",
                "http://[::1]:8080/webhooks/razorpay/live",
            ),
            (
                "10.0.0.7:80",
                "live",
                "http://10.0.0.7:80/webhooks/razorpay/live",
            ),
        ] {
            assert_eq!(url(bind, endpoint).as_deref(), Some(expected));
        }
        assert_eq!(url("0.0.0.0:0", "live"), None);
    }
}
