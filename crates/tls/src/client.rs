//! The client side of TLS: trusted authorities and our own certificate.

use std::fmt;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::pem::{Certificates, PemError, PrivateKey};

/// A validated client configuration. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    authorities: Option<Arc<Certificates>>,
    identity: Option<Arc<(Certificates, PrivateKey)>>,
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts only `authorities`, or without any, Mozilla's list of public authorities as of the build. Presents
    /// `identity` to servers that ask for a client certificate.
    pub fn new(
        authorities: Option<Certificates>,
        identity: Option<(Certificates, PrivateKey)>,
    ) -> Result<Self, PemError> {
        let builder = ClientConfig::builder().with_root_certificates(roots(authorities.as_ref())?);
        let config = match &identity {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => builder
                .with_client_auth_cert(certificates.chain.clone(), key.key.clone_key())
                .map_err(PemError::NotAPair)?,
        };
        Ok(Self {
            authorities: authorities.map(Arc::new),
            identity: identity.map(Arc::new),
            config: Arc::new(config),
        })
    }

    /// The configuration for rustls.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The trusted authorities; `None` for the public ones.
    #[must_use]
    pub fn authorities(&self) -> Option<&Certificates> {
        self.authorities.as_deref()
    }

    /// Our client certificate and its key.
    #[must_use]
    pub fn identity(&self) -> Option<(&Certificates, &PrivateKey)> {
        self.identity.as_deref().map(|(chain, key)| (chain, key))
    }
}

fn roots(authorities: Option<&Certificates>) -> Result<RootCertStore, PemError> {
    let Some(authorities) = authorities else {
        let public = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        return Ok(public.collect());
    };
    let mut roots = RootCertStore::empty();
    for authority in &authorities.chain {
        let added = roots.add(authority.clone());
        added.map_err(PemError::NotAnAuthority)?;
    }
    Ok(roots)
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("trusts_public_authorities", &self.authorities.is_none())
            .field("has_identity", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}
