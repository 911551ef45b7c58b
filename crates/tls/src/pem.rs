//! Certificates and keys in PEM files.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// One or more certificates, in the order of their file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    text: Vec<u8>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// A private key. Its debug output does not reveal it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    text: Vec<u8>,
    pub(crate) key: Arc<PrivateKeyDer<'static>>,
}

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file is missing or not readable by this process.
    #[error("cannot read the file {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file contains something else.
    #[error("the file {path} contains no {expected} in PEM format")]
    NotFound {
        /// The file.
        path: String,
        /// The expected content.
        expected: &'static str,
    },
    /// A certificate is not a valid authority.
    #[error("one of the certificates is not a valid authority")]
    NotAnAuthority(#[source] rustls::Error),
    /// The key belongs to another certificate, or its type is not supported.
    #[error("the certificate and the private key cannot be used together")]
    NotAPair(#[source] rustls::Error),
}

impl Certificates {
    /// Reads all certificates of a file, at least one.
    pub fn read(path: &Path) -> Result<Self, PemError> {
        let text = read(path)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        if chain.is_empty() {
            return Err(not_found(path, "certificate"));
        }
        Ok(Self { text, chain })
    }

    /// The contents of the file.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.text
    }
}

impl PrivateKey {
    /// Reads the first private key of a file.
    pub fn read(path: &Path) -> Result<Self, PemError> {
        let text = read(path)?;
        let key = PrivateKeyDer::from_pem_slice(&text);
        let key = key.map_err(|_| not_found(path, "private key"))?;
        let key = Arc::new(key);
        Ok(Self { text, key })
    }

    /// The contents of the file.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.text
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    std::fs::read(path).map_err(|source| PemError::Unreadable {
        path: path.display().to_string(),
        source,
    })
}

fn not_found(path: &Path, expected: &'static str) -> PemError {
    PemError::NotFound {
        path: path.display().to_string(),
        expected,
    }
}
