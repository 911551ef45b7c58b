//! Signature verification: HMAC-SHA256 over the raw body, compared in constant time.
//!
//! Razorpay sends `X-Razorpay-Signature`: the hex of HMAC-SHA256 over the raw body, keyed with the
//! endpoint's webhook secret. After a rotation, retries of older events still carry the old secret's
//! signature, so an endpoint may have several live secrets.

pub mod diagnosis;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::delivery::{Delivery, SIGNATURE_HEX_BYTES, VerifiedDelivery};
use crate::ids::EventId;
use crate::secret::{Fingerprint, Secret};

type HmacSha256 = Hmac<Sha256>;

/// Maximum live secrets of one endpoint: each costs one HMAC per delivery.
pub const SECRETS_PER_ENDPOINT_MAX: usize = 8;

/// The live secrets of one endpoint, newest first, with prepared HMAC keys.
#[derive(Clone)]
pub struct EndpointSecrets {
    keys: Vec<HmacSha256>,
    /// In the same order.
    fingerprints: Vec<Fingerprint>,
}

/// Why a set of secrets cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecrets {
    /// An endpoint without a secret would accept anything or nothing.
    #[error("an endpoint needs at least one secret")]
    None,
    /// An empty secret verifies what anyone can sign.
    #[error("a secret is empty")]
    Empty,
    /// More than [`SECRETS_PER_ENDPOINT_MAX`].
    #[error("an endpoint takes at most {SECRETS_PER_ENDPOINT_MAX} secrets")]
    TooMany,
}

/// Why a delivery was refused. For metrics and logs only: the caller is not told the reason.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::EnumCount,
    strum::IntoStaticStr,
    strum::VariantArray,
    thiserror::Error,
)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The header is absent.
    #[error("the signature header is missing")]
    Missing,
    /// The header is not 64 characters long.
    #[error("the signature is not {SIGNATURE_HEX_BYTES} characters long")]
    WrongLength,
    /// The header holds a character that is no hex digit.
    #[error("the signature is not hexadecimal")]
    NotHex,
    /// No live secret of the endpoint produces this signature.
    #[error("no live secret matches the signature")]
    NoMatch,
}

impl Refusal {
    /// A short code for a metric label.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.into()
    }
}

impl EndpointSecrets {
    /// Prepares the keys of secrets, newest first.
    pub fn new(secrets: &[Secret]) -> Result<Self, InvalidSecrets> {
        if secrets.is_empty() {
            return Err(InvalidSecrets::None);
        }
        if secrets.len() > SECRETS_PER_ENDPOINT_MAX {
            return Err(InvalidSecrets::TooMany);
        }
        if secrets.iter().any(|s| s.expose().is_empty()) {
            return Err(InvalidSecrets::Empty);
        }
        Ok(Self {
            keys: secrets.iter().map(keyed).collect(),
            fingerprints: secrets.iter().map(Fingerprint::of).collect(),
        })
    }

    /// The fingerprints of the secrets, in order.
    #[must_use]
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    /// The position of a secret that signs `body` as `expected`.
    ///
    /// Tries every secret and compares in constant time, so that timing reveals neither which secret
    /// matched nor how much of the signature was right.
    fn position_of_match(&self, body: &[u8], expected: &[u8; 32]) -> Option<usize> {
        let mut found = Choice::from(0);
        let mut position = 0u32;
        for (index, key) in (0u32..).zip(&self.keys) {
            let mut mac = key.clone();
            mac.update(body);
            let computed: [u8; 32] = mac.finalize().into_bytes().into();
            let equal = computed.ct_eq(expected);
            position.conditional_assign(&index, equal & !found);
            found |= equal;
        }
        bool::from(found).then_some(position as usize)
    }
}

/// Checks that a header has the form of a signature.
pub fn check_form(header: Option<&[u8]>) -> Result<(), Refusal> {
    decoded(header).map(|_| ())
}

/// The HMAC in a header.
fn decoded(header: Option<&[u8]>) -> Result<[u8; 32], Refusal> {
    let header = header.ok_or(Refusal::Missing)?;
    if header.len() != SIGNATURE_HEX_BYTES {
        return Err(Refusal::WrongLength);
    }
    const_hex::decode_to_array(header).map_err(|_| Refusal::NotHex)
}

/// Verifies a delivery's signature over its exact body with the live secrets of its endpoint.
pub fn verify(
    delivery: Delivery<'_>,
    secrets: &EndpointSecrets,
) -> Result<VerifiedDelivery, Refusal> {
    let claimed = decoded(delivery.signature)?;
    let mut signature = [0; SIGNATURE_HEX_BYTES];
    const_hex::encode_to_slice(claimed, &mut signature).expect("two digits for each byte");
    let secret_position = secrets
        .position_of_match(&delivery.body, &claimed)
        .ok_or(Refusal::NoMatch)?;
    let event_id = delivery
        .event_id
        .unwrap_or_else(|| EventId::of_body(&delivery.body));
    Ok(VerifiedDelivery {
        endpoint: delivery.endpoint,
        event_id,
        signature,
        secret_position,
        secret_fingerprint: secrets.fingerprints[secret_position],
        trace: delivery.trace,
        received_at: delivery.received_at,
        body: delivery.body,
    })
}

/// The signature Razorpay would send for `body` under `secret`, in lower-case hex.
#[must_use]
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    let mut mac = keyed(secret);
    mac.update(body);
    const_hex::encode(mac.finalize().into_bytes())
}

fn keyed(secret: &Secret) -> HmacSha256 {
    HmacSha256::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests;
