//! A delivery, before and after verification of its signature.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::endpoint::EndpointName;
use crate::ids::EventId;
use crate::secret::Fingerprint;
use crate::time::ReceivedAt;
use crate::trace::TraceContext;

/// A received delivery: the relevant headers and the exact body. Nothing about it is verified yet.
#[derive(Clone)]
pub struct Delivery<'a> {
    /// The endpoint whose URL was called.
    pub endpoint: EndpointName,
    /// `X-Razorpay-Event-Id`, if sent. The signature does not cover it.
    pub event_id: Option<EventId>,
    /// `X-Razorpay-Signature`, if sent.
    pub signature: Option<&'a [u8]>,
    /// The caller's trace context, or one made by the ingress.
    pub trace: TraceContext,
    /// When the request was received, by our clock.
    pub received_at: ReceivedAt,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// A delivery whose signature matched its raw body under a live secret of its endpoint.
///
/// Only [`crate::signature::verify`] makes one, so holding it is the proof. Only a verified delivery can
/// become a stream entry.
pub struct VerifiedDelivery {
    pub(crate) endpoint: EndpointName,
    pub(crate) event_id: EventId,
    pub(crate) signature: [u8; SIGNATURE_HEX_BYTES],
    pub(crate) secret_position: usize,
    pub(crate) secret_fingerprint: Fingerprint,
    pub(crate) trace: TraceContext,
    pub(crate) received_at: ReceivedAt,
    pub(crate) body: Bytes,
}

/// Length of a signature in hex: 32 bytes of HMAC-SHA256.
pub const SIGNATURE_HEX_BYTES: usize = 64;

impl VerifiedDelivery {
    /// The endpoint whose secret matched.
    #[must_use]
    pub fn endpoint(&self) -> &EndpointName {
        &self.endpoint
    }

    /// The event id from the header, or derived from the body without one.
    #[must_use]
    pub fn event_id(&self) -> &EventId {
        &self.event_id
    }

    /// The position of the secret that matched; 0 is the newest.
    #[must_use]
    pub fn secret_position(&self) -> usize {
        self.secret_position
    }

    /// The fingerprint of the secret that matched.
    #[must_use]
    pub fn secret_fingerprint(&self) -> Fingerprint {
        self.secret_fingerprint
    }

    /// The signature that matched, in lower-case hex.
    #[must_use]
    pub fn signature(&self) -> &str {
        std::str::from_utf8(&self.signature).expect("hex is ASCII")
    }

    /// The trace context of the request.
    #[must_use]
    pub fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// When the request was received.
    #[must_use]
    pub fn received_at(&self) -> ReceivedAt {
        self.received_at
    }

    /// The exact bytes that were signed.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// The digest that identifies a body, whatever its event id.
#[must_use]
pub fn body_sha256(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
