//! When certificates expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

use crate::pem::Certificates;

impl Certificates {
    /// When the first of them expires; `None` if none can be read.
    #[must_use]
    pub fn first_expires_at(&self) -> Option<SystemTime> {
        self.chain.iter().filter_map(expires_at).min()
    }
}

/// Verifies the certificate at the end of time: the error has its expiry. The verifier checks the time before the
/// issuer, so any roots and any name do.
fn expires_at(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let verifier = WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::new(rustls::crypto::ring::default_provider()),
    );
    let name = ServerName::try_from("localhost").ok()?;
    let at_last = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let refused = verifier
        .build()
        .ok()?
        .verify_server_cert(certificate, &[], &name, &[], at_last);
    match refused {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            UNIX_EPOCH.checked_add(Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn der(is_ca: bool, expires_at: SystemTime) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["db.internal".to_owned()]).unwrap();
        params.not_after = expires_at.into();
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().into()
    }

    #[test]
    fn the_expiry_of_certificates_and_authorities_is_found() {
        for seconds in [200_000_000, 1_790_000_000, 4_102_444_800] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            for is_ca in [false, true] {
                assert_eq!(expires_at(&der(is_ca, at)), Some(at), "{seconds} {is_ca}");
            }
        }
        assert_eq!(expires_at(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
