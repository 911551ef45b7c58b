//! Certificates and keys in PEM files.

use std::fmt;
use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// One or more certificates, in the order of their file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    text: Vec<u8>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// A private key. Its debug form shows nothing of it.
pub struct PrivateKey {
    text: Vec<u8>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It is not there, or not for us.
    #[error("the file {path} cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// It holds something else.
    #[error("the file {path} holds no {what} in PEM form")]
    NotFound {
        /// The file.
        path: String,
        /// What should be in it.
        what: &'static str,
    },
    /// A certificate in it cannot be an authority that we trust.
    #[error("one of the certificates is no valid authority: {0}")]
    NotAnAuthority(rustls::Error),
    /// A key that belongs to another certificate, or is of a kind that we do not have.
    #[error("the certificate and the private key cannot be used together: {0}")]
    NotAPair(rustls::Error),
}

impl Certificates {
    /// Reads every certificate of a file, at least one.
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

    /// The file's content.
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
        Ok(Self { text, key })
    }

    /// The file's content.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.text
    }
}

impl Clone for PrivateKey {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    std::fs::read(path).map_err(|error| PemError::Unreadable {
        path: path.display().to_string(),
        error,
    })
}

fn not_found(path: &Path, what: &'static str) -> PemError {
    PemError::NotFound {
        path: path.display().to_string(),
        what,
    }
}
