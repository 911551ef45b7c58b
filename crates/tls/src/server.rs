//! The server side of TLS: a certificate that can be replaced at run time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::pem::{Certificates, PemError, PrivateKey};

/// A certificate with its key, and their files. Open connections keep the certificate they began with.
#[derive(Debug)]
pub struct ServerCertificate {
    certificate_file: PathBuf,
    key_file: PathBuf,
    current: ArcSwap<KeyPair>,
}

#[derive(Debug)]
struct KeyPair {
    read: (Certificates, PrivateKey),
    certified: Arc<CertifiedKey>,
}

impl ServerCertificate {
    /// Reads both files, which must belong together.
    pub fn read(certificate_file: PathBuf, key_file: PathBuf) -> Result<Self, PemError> {
        let pair = KeyPair::of(read(&certificate_file, &key_file)?)?;
        Ok(Self {
            current: ArcSwap::from_pointee(pair),
            certificate_file,
            key_file,
        })
    }

    /// Reads both files again, for the connections from now on. Returns whether they changed. An error changes
    /// nothing.
    pub fn reload(&self) -> Result<bool, PemError> {
        let read = read(&self.certificate_file, &self.key_file)?;
        if self.current.load().read == read {
            return Ok(false);
        }
        self.current.store(Arc::new(KeyPair::of(read)?));
        Ok(true)
    }

    /// A server that presents the current certificate and asks for no client certificates.
    #[must_use]
    pub fn config(self: &Arc<Self>) -> ServerConfig {
        ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(self.clone())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<(Certificates, PrivateKey), PemError> {
    Ok((Certificates::read(certificate)?, PrivateKey::read(key)?))
}

impl KeyPair {
    fn of(read: (Certificates, PrivateKey)) -> Result<Self, PemError> {
        let (chain, key) = (read.0.chain.clone(), read.1.key.clone_key());
        let certified =
            CertifiedKey::from_der(chain, key, &default_provider()).map_err(PemError::NotAPair)?;
        Ok(Self {
            read,
            certified: Arc::new(certified),
        })
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().certified.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write_pair(folder: &std::path::Path) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
        fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn changed_files_are_used_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let shown = |certificate: &ServerCertificate| {
            let pair = certificate.current.load();
            pair.certified.end_entity_cert().unwrap().to_vec()
        };
        let first = write_pair(folder);
        let certificate =
            ServerCertificate::read(folder.join("tls.crt"), folder.join("tls.key")).unwrap();
        assert_eq!(shown(&certificate), first);
        assert!(!certificate.reload().unwrap(), "nothing has changed");

        let key_file = folder.join("tls.key");
        let key = fs::read(&key_file).unwrap();
        let second = write_pair(folder);
        let other_key = fs::read(&key_file).unwrap();
        fs::write(&key_file, &key).unwrap();
        assert!(matches!(certificate.reload(), Err(PemError::NotAPair(_))));
        fs::write(&key_file, "").unwrap();
        let reloaded = certificate.reload();
        assert!(matches!(reloaded, Err(PemError::NotFound { .. })));
        fs::remove_file(&key_file).unwrap();
        let reloaded = certificate.reload();
        assert!(matches!(reloaded, Err(PemError::Unreadable { .. })));
        assert_eq!(shown(&certificate), first);

        fs::write(&key_file, other_key).unwrap();
        assert!(certificate.reload().unwrap());
        assert_eq!(shown(&certificate), second);
    }
}
