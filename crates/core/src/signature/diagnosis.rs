//! Why no live secret gives a delivery's signature: the likely cause, for the operator and never for the
//! caller. Costs many times what [`super::verify`] does, so it is for samples, away from requests.

mod respelled;

use std::borrow::Cow;

use hmac::Mac;

use super::{decode_hex, keyed, well_formed};
use crate::endpoint::EndpointName;
use crate::secret::Secret;
use respelled::respelled;

/// Largest body that is examined, in bytes. Razorpay's have one to six thousand.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The secrets that a refused signature is compared with.
#[derive(Clone, Debug)]
pub struct Suspects<'a> {
    /// The live secrets of the endpoint that was called.
    pub live: &'a [Secret],
    /// Those that were removed from it of late.
    pub retired: &'a [Secret],
    /// Those that verify nothing and were given for the diagnosis alone.
    pub diagnose_with: &'a [Secret],
    /// The live secrets of all other endpoints.
    pub elsewhere: &'a [(EndpointName, Vec<Secret>)],
}

/// The likely cause of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A live secret of this other endpoint fits.
    OtherEndpoint(EndpointName),
    /// A secret fits that was removed from the endpoint.
    RetiredSecret,
    /// A secret fits that was given for the diagnosis, such as the API's.
    DiagnosisSecret,
    /// A live secret fits the body with other white space around it or other line ends.
    BodyWhitespace,
    /// A live secret fits the body with its JSON written in another way.
    BodyReencoded,
    /// The body is larger than [`BODY_BYTES_MAX`].
    NotExamined,
    /// Nothing fits: a secret that is not known here, another body, or not Razorpay.
    Unknown,
}

impl Cause {
    /// The codes of all causes.
    pub const CODES: [&'static str; 7] = [
        "other_endpoint",
        "retired_secret",
        "diagnosis_secret",
        "body_whitespace",
        "body_reencoded",
        "not_examined",
        "unknown",
    ];

    /// A short code for a log or a metric label.
    #[must_use]
    pub fn code(&self) -> &'static str {
        Self::CODES[match self {
            Self::OtherEndpoint(_) => 0,
            Self::RetiredSecret => 1,
            Self::DiagnosisSecret => 2,
            Self::BodyWhitespace => 3,
            Self::BodyReencoded => 4,
            Self::NotExamined => 5,
            Self::Unknown => 6,
        }]
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::OtherEndpoint(name) => {
                return Cow::Owned(format!(
                    "it is signed for the endpoint {name}: give that webhook the URL /webhooks/razorpay/{name}, or this endpoint that secret"
                ));
            }
            Self::RetiredSecret => {
                "Razorpay still signs with a secret that was removed here: put it back behind the new one until 24 hours after it was changed at Razorpay"
            }
            Self::DiagnosisSecret => {
                "it is signed with a secret of diagnose_with, perhaps the API's: set the webhook's own secret at Razorpay"
            }
            Self::BodyWhitespace => {
                "something before the ingress changes white space or line ends of the body: let it pass bodies on byte for byte"
            }
            Self::BodyReencoded => {
                "something before the ingress reads the JSON and writes it anew: let it pass bodies on byte for byte"
            }
            Self::NotExamined => "the body is too large for a diagnosis",
            Self::Unknown => {
                "compare the webhook's secret at Razorpay with that of the endpoint (harkara secrets); if both are right, this was not Razorpay"
            }
        })
    }
}

/// The likely cause for which no live secret gave `signature` for `body`.
#[must_use]
pub fn likely_cause(body: &[u8], signature: &[u8], suspects: &Suspects<'_>) -> Cause {
    let Ok(claimed) = well_formed(Some(signature)).map(decode_hex) else {
        return Cause::Unknown;
    };
    if body.len() > BODY_BYTES_MAX {
        return Cause::NotExamined;
    }
    let fits = |secrets: &[Secret], body: &[u8]| {
        secrets.iter().any(|secret| {
            let mut mac = keyed(secret);
            mac.update(body);
            mac.finalize().into_bytes()[..] == claimed
        })
    };
    if fits(suspects.retired, body) {
        return Cause::RetiredSecret;
    }
    let elsewhere = suspects.elsewhere.iter();
    if let Some((name, _)) = elsewhere
        .into_iter()
        .find(|(_, secrets)| fits(secrets, body))
    {
        return Cause::OtherEndpoint(name.clone());
    }
    if fits(suspects.diagnose_with, body) {
        return Cause::DiagnosisSecret;
    }
    if otherwise_spaced(body).any(|body| fits(suspects.live, &body)) {
        return Cause::BodyWhitespace;
    }
    if respelled(body).any(|body| fits(suspects.live, body.as_bytes())) {
        return Cause::BodyReencoded;
    }
    Cause::Unknown
}

/// The bodies that may have been signed if something changed the white space around them, or line ends.
fn otherwise_spaced(body: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let trimmed = body.strip_prefix(MARK).unwrap_or(body).trim_ascii();
    let ends: [&[u8]; 3] = [b"", b"\n", b"\r\n"];
    let around = ends.into_iter().map(move |end| [trimmed, end].concat());
    let marked = std::iter::once_with(move || [MARK, trimmed].concat());
    let unix = std::iter::once_with(move || with_line_ends(body, b"\n"));
    let windows = std::iter::once_with(move || with_line_ends(body, b"\r\n"));
    around.chain(marked).chain(unix).chain(windows)
}

fn with_line_ends(body: &[u8], end: &[u8]) -> Vec<u8> {
    let lines = body.split(|&byte| byte == b'\n');
    let lines: Vec<&[u8]> = lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect();
    lines.join(end)
}

#[cfg(test)]
mod tests;
