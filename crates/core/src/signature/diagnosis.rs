//! The likely reason why no live secret matches a signature, for operators only, never for the caller. It costs
//! many times what [`super::verify`] does, so it is for samples, outside of requests.

mod respelled;

use std::borrow::Cow;

use hmac::Mac;
use strum::VariantNames as _;

use super::{decoded, keyed};
use crate::endpoint::EndpointName;
use crate::secret::Secret;
use respelled::respelled;

/// Largest body that is examined, in bytes. Razorpay's have one to six thousand.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The secrets to compare a refused signature with.
#[derive(Clone, Debug)]
pub struct Suspects<'a> {
    /// The live secrets of the endpoint that was called.
    pub live: &'a [Secret],
    /// Secrets recently removed from it.
    pub retired: &'a [Secret],
    /// Secrets that verify nothing and serve only the diagnosis.
    pub diagnose_with: &'a [Secret],
    /// The live secrets of all other endpoints.
    pub elsewhere: &'a [(EndpointName, Vec<Secret>)],
}

/// The likely cause of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// A live secret of this other endpoint matches.
    OtherEndpoint(EndpointName),
    /// A secret removed from the endpoint matches.
    RetiredSecret,
    /// A secret given for the diagnosis matches, such as the API's.
    DiagnosisSecret,
    /// A live secret matches the body with other surrounding white space or line ends.
    BodyWhitespace,
    /// A live secret matches the body with its JSON spelled differently.
    BodyReencoded,
    /// The body is larger than [`BODY_BYTES_MAX`].
    NotExamined,
    /// Nothing matches: an unknown secret, a changed body, or not Razorpay.
    Unknown,
}

impl Cause {
    /// The codes of all causes.
    pub const CODES: &[&'static str] = Self::VARIANTS;

    /// A short code for a log or a metric label.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// A remedy.
    #[must_use]
    pub fn remedy(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::OtherEndpoint(name) => {
                return Cow::Owned(format!(
                    "it is signed for the endpoint {name}: set that webhook's URL to /webhooks/razorpay/{name}, or give this endpoint that secret"
                ));
            }
            Self::RetiredSecret => {
                "Razorpay still signs with a secret that was removed here: put it back behind the new one until 24 hours after the change at Razorpay"
            }
            Self::DiagnosisSecret => {
                "it is signed with a secret of diagnose_with, perhaps the API's: set the webhook's own secret at Razorpay"
            }
            Self::BodyWhitespace => {
                "a proxy before the ingress changes white space or line ends: make it pass bodies through byte for byte"
            }
            Self::BodyReencoded => {
                "a proxy before the ingress rewrites the JSON: make it pass bodies through byte for byte"
            }
            Self::NotExamined => "the body is too large for a diagnosis",
            Self::Unknown => {
                "compare the webhook's secret at Razorpay with that of the endpoint (harkara secrets); if both are right, this was not Razorpay"
            }
        })
    }
}

/// The likely cause why no live secret signs `body` as `signature`.
#[must_use]
pub fn likely_cause(body: &[u8], signature: &[u8], suspects: &Suspects<'_>) -> Cause {
    let Ok(claimed) = decoded(Some(signature)) else {
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

/// The bodies that may have been signed if surrounding white space or line ends were changed.
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
