//! Why a handshake failed, told to the person who can mend it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

/// A handshake that failed for a reason of TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(rustls::Error);

impl Refusal {
    /// The reason of TLS among an error's causes, if there is one.
    #[must_use]
    pub fn within(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<rustls::Error>() {
                return Some(Self(found.clone()));
            }
            // Neither of these two counts what it wraps among its causes.
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

    /// What is wrong with the server's certificate, or with ours, and what to do about it: a part of a
    /// sentence that goes on from the server's name. `section` is the section of its settings.
    #[must_use]
    pub fn remedy(&self, section: &str) -> String {
        let setting = |name: &str| {
            let variable = format!("HARKARA__{section}__{name}").to_uppercase();
            format!("{section}.{name} ({variable})")
        };
        match &self.0 {
            rustls::Error::InvalidCertificate(fault) => remedy_of(fault, &setting),
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::HandshakeFailure
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::UnknownCA
                | AlertDescription::UnsupportedCertificate,
            ) => format!(
                "it wants a client certificate and does not take ours ({}); give one that it trusts as {} and {}",
                self.0,
                setting("client_certificate_file"),
                setting("client_key_file")
            ),
            rustls::Error::InvalidMessage(_) => format!(
                "what answers there does not speak TLS; correct the port of {}, or ask for a plain connection",
                setting("url")
            ),
            other => format!("no TLS connection can be made: {other}"),
        }
    }
}

fn remedy_of(fault: &CertificateError, setting: &dyn Fn(&str) -> String) -> String {
    match fault {
        CertificateError::UnknownIssuer => format!(
            "its certificate comes from an authority that we do not trust; give that authority's certificate as {}",
            setting("ca_file")
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } if presented.is_empty() => format!(
            "its certificate names no host (subject alternative name); have it issued for {}",
            expected.to_str()
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "its certificate is for {} and not for {}; name one of those hosts in {}, or have it issued for this one",
            presented
                .iter()
                .map(|n| bare(n))
                .collect::<Vec<_>>()
                .join(", "),
            expected.to_str(),
            setting("url")
        ),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate expired {} ago; renew it, or correct this machine's clock",
            span(Duration::from_secs(
                time.as_secs().saturating_sub(not_after.as_secs())
            ))
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is not valid for another {}; correct this machine's clock, or issue it anew",
            span(Duration::from_secs(
                not_before.as_secs().saturating_sub(time.as_secs())
            ))
        ),
        other => format!("its certificate is refused ({other}); have it issued anew"),
    }
}

/// The name alone: the library writes `DnsName("db.internal")`.
fn bare(written: &str) -> &str {
    written
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(written)
        .trim_matches('"')
}

/// A length of time in its largest unit.
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
    fn reason_is_found_however_it_is_wrapped() {
        let reason = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let handshake = io::Error::new(io::ErrorKind::InvalidData, reason.clone());
        assert_eq!(Refusal::within(&handshake), Some(Refusal(reason.clone())));
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(handshake);
        assert_eq!(Refusal::within(&shared), Some(Refusal(reason)));
        assert_eq!(Refusal::within(&io::Error::other("away")), None);
    }

    #[test]
    fn names_are_told_without_their_kind() {
        assert_eq!(bare("DnsName(\"db.internal\")"), "db.internal");
        assert_eq!(bare("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(bare("db.internal"), "db.internal");
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        for (seconds, told) in [
            (1, "1 second"),
            (90, "1 minute"),
            (7_200, "2 hours"),
            (259_200, "3 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), told);
        }
    }
}
