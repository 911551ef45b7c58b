//! Signature verification: HMAC-SHA256 over the raw body, compared in constant time.
//!
//! Razorpay sends `X-Razorpay-Signature`, the hex of HMAC-SHA256 keyed with the endpoint's webhook
//! secret over the raw request body. After a rotation, retries of older events still carry the old
//! secret's signature, so an endpoint may have several live secrets.

pub mod diagnosis;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::delivery::{Delivery, SIGNATURE_HEX_BYTES, VerifiedDelivery};
use crate::ids::EventId;
use crate::secret::{Fingerprint, Secret};

type HmacSha256 = Hmac<Sha256>;

/// Most secrets that one endpoint may have live at once: each costs one HMAC per delivery.
pub const SECRETS_PER_ENDPOINT_MAX: usize = 8;

/// The live secrets of one endpoint, newest first, with their HMAC keys already prepared.
#[derive(Clone)]
pub struct EndpointSecrets {
    keys: Vec<HmacSha256>,
    /// Theirs, in the same order.
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

/// Why a delivery was refused. For our metrics and logs only: a caller learns just that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The header is absent.
    #[error("the signature header is missing")]
    Missing,
    /// The header is not 64 characters long.
    #[error("the signature is not {SIGNATURE_HEX_BYTES} characters long")]
    WrongLength,
    /// The header holds something other than hex digits.
    #[error("the signature is not hexadecimal")]
    NotHex,
    /// No live secret of the endpoint gives this signature for this body.
    #[error("no live secret matches the signature")]
    NoMatch,
}

impl Refusal {
    /// A short code for a metric label.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WrongLength => "wrong_length",
            Self::NotHex => "not_hex",
            Self::NoMatch => "no_match",
        }
    }
}

impl EndpointSecrets {
    /// Prepares the keys of an endpoint's secrets, newest first.
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

    /// The fingerprints of the secrets, in their order.
    #[must_use]
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    /// The position of a secret that gives `expected` for `body`.
    ///
    /// Every secret is tried and compared in constant time, so the time taken tells neither which
    /// secret matched nor how much of the signature was right.
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

/// Whether a text has the form of a signature.
pub fn check_form(header: Option<&[u8]>) -> Result<(), Refusal> {
    well_formed(header).map(|_| ())
}

fn well_formed(header: Option<&[u8]>) -> Result<&[u8; SIGNATURE_HEX_BYTES], Refusal> {
    let header = header.ok_or(Refusal::Missing)?;
    let header: &[u8; SIGNATURE_HEX_BYTES] = header.try_into().map_err(|_| Refusal::WrongLength)?;
    // Every byte is looked at: faster than to stop at the first that is wrong, which is rare.
    let all_hex = header
        .iter()
        .fold(true, |so_far, digit| so_far & digit.is_ascii_hexdigit());
    if all_hex {
        Ok(header)
    } else {
        Err(Refusal::NotHex)
    }
}

/// Checks a delivery's signature over its exact body against every live secret of its endpoint.
pub fn verify(
    delivery: Delivery<'_>,
    secrets: &EndpointSecrets,
) -> Result<VerifiedDelivery, Refusal> {
    let header = well_formed(delivery.signature)?;
    let claimed = decode_hex(header);
    let secret_position = secrets
        .position_of_match(&delivery.body, &claimed)
        .ok_or(Refusal::NoMatch)?;
    let event_id = delivery
        .event_id
        .unwrap_or_else(|| EventId::of_body(&delivery.body));
    Ok(VerifiedDelivery {
        endpoint: delivery.endpoint,
        event_id,
        signature: header.map(|b| b.to_ascii_lowercase()),
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
    encode_hex(&mac.finalize().into_bytes())
}

fn keyed(secret: &Secret) -> HmacSha256 {
    HmacSha256::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length")
}

fn decode_hex(text: &[u8; SIGNATURE_HEX_BYTES]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hex_digit(pair[0]) << 4 | hex_digit(pair[1]);
    }
    bytes
}

/// The value of a digit that is one: letters of either case lie nine above their last four bits.
fn hex_digit(digit: u8) -> u8 {
    (digit & 15) + 9 * (digit >> 6)
}

/// Lower-case hex of some bytes.
#[must_use]
pub fn encode_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hex(&mut text, bytes);
    text
}

/// Appends the lower-case hex of some bytes.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests;
