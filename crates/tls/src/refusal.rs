//! Why a handshake failed, and what to do about it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

/// A handshake that TLS refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(rustls::Error);

impl Refusal {
    /// The refusal among an error's causes, if there is one.
    #[must_use]
    pub fn within(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<rustls::Error>() {
                return Some(Self(found.clone()));
            }
            // Neither of these reports its inner error as its source.
            next = if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
                Some(&**shared)
            } else if let Some(inner) = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(inner)
            } else {
                error.source()
            };
        }
        None
    }

    /// What is wrong with the server's certificate, or with ours: a clause about the server.
    #[must_use]
    pub fn problem(&self) -> String {
        self.parts("").0
    }

    /// What to do about it. `section` is the section of the server's settings.
    #[must_use]
    pub fn remedy(&self, section: &str) -> String {
        self.parts(section).1
    }

    fn parts(&self, section: &str) -> (String, String) {
        let setting = |name: &str| {
            let variable = format!("HARKARA__{section}__{name}").to_uppercase();
            format!("{section}.{name} ({variable})")
        };
        match &self.0 {
            rustls::Error::InvalidCertificate(error) => refused_certificate(error, &setting),
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::HandshakeFailure
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::UnknownCA
                | AlertDescription::UnsupportedCertificate,
            ) => (
                format!(
                    "it requires a client certificate and rejects ours ({})",
                    self.0
                ),
                format!(
                    "provide one that it trusts as {} and {}",
                    setting("client_certificate_file"),
                    setting("client_key_file")
                ),
            ),
            rustls::Error::InvalidMessage(_) => (
                "it does not speak TLS".to_owned(),
                format!(
                    "correct the port of {}, or configure a plain connection",
                    setting("url")
                ),
            ),
            other => (
                format!("the TLS handshake failed: {other}"),
                format!("check {} and the server's log", setting("url")),
            ),
        }
    }
}

/// What is wrong with a certificate, and what to do about it.
fn refused_certificate(
    error: &CertificateError,
    setting: &dyn Fn(&str) -> String,
) -> (String, String) {
    match error {
        CertificateError::UnknownIssuer => (
            "its certificate comes from an untrusted authority".to_owned(),
            format!("set {} to that authority's certificate", setting("ca_file")),
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } if presented.is_empty() => (
            "its certificate names no host (subject alternative name)".to_owned(),
            format!("have it reissued for {}", expected.to_str()),
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            (
                format!(
                    "its certificate is for {} and not for {}",
                    names.join(", "),
                    expected.to_str()
                ),
                format!(
                    "use one of those hosts in {}, or have it reissued for this one",
                    setting("url")
                ),
            )
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = Duration::from_secs(time.as_secs().saturating_sub(not_after.as_secs()));
            (
                format!("its certificate expired {} ago", span(ago)),
                "renew it, or correct this machine's clock".to_owned(),
            )
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let left = Duration::from_secs(not_before.as_secs().saturating_sub(time.as_secs()));
            (
                format!("its certificate is not valid for another {}", span(left)),
                "correct this machine's clock, or have it reissued".to_owned(),
            )
        }
        other => (
            format!("its certificate is refused ({other})"),
            "have it reissued".to_owned(),
        ),
    }
}

/// The bare name: rustls writes `DnsName("db.internal")`.
fn bare(written: &str) -> &str {
    written
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(written)
        .trim_matches('"')
}

/// Formats a duration in its largest unit.
fn span(time: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = time.as_secs();
    let (number, unit) = match seconds {
        DAY.. => (seconds / DAY, "day"),
        HOUR.. => (seconds / HOUR, "hour"),
        MINUTE.. => (seconds / MINUTE, "minute"),
        _ => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_however_it_is_wrapped() {
        let reason = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let handshake = io::Error::new(io::ErrorKind::InvalidData, reason.clone());
        assert_eq!(Refusal::within(&handshake), Some(Refusal(reason.clone())));
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(handshake);
        assert_eq!(Refusal::within(&shared), Some(Refusal(reason)));
        assert_eq!(Refusal::within(&io::Error::other("away")), None);
    }

    #[test]
    fn names_are_shown_without_their_kind() {
        assert_eq!(bare("DnsName(\"db.internal\")"), "db.internal");
        assert_eq!(bare("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(bare("db.internal"), "db.internal");
    }

    #[test]
    fn spans_have_their_largest_unit() {
        for (seconds, text) in [
            (1, "1 second"),
            (90, "1 minute"),
            (7_200, "2 hours"),
            (259_200, "3 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
