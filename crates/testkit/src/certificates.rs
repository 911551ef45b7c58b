//! Certificates for one test, issued by its own authority.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const DAY: Duration = Duration::from_hours(24);

/// An authority that nobody trusts by default.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, and who issued it; all in PEM form.
pub struct Certificate {
    /// The certificate.
    pub pem: String,
    /// Its private key.
    pub key_pem: String,
    /// The authority's certificate.
    pub authority_pem: String,
}

impl Authority {
    /// An authority of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, new_key());
        Self {
            issuer: issuer.expect("an authority can sign itself"),
        }
    }

    /// A certificate for these host names and addresses, in force from yesterday till tomorrow.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Certificate {
        self.issue_until(names, SystemTime::now() + DAY)
    }

    /// A certificate that expired yesterday.
    #[must_use]
    pub fn issue_expired(&self, names: &[&str]) -> Certificate {
        self.issue_until(names, SystemTime::now() - DAY)
    }

    /// The authority's certificate in PEM form.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn issue_until(&self, names: &[&str], not_after: SystemTime) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.not_before = (not_after - 2 * DAY).into();
        params.not_after = not_after.into();
        let key = new_key();
        let issued = params.signed_by(&key, &self.issuer);
        Certificate {
            pem: issued.expect("an authority can sign").pem(),
            key_pem: key.serialize_pem(),
            authority_pem: self.pem(),
        }
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system gives random numbers")
}
