//! Events that were signed and can be sent.

use bytes::Bytes;
use harkara_core::secret::Secret;
use harkara_core::signature::sign;

use crate::bodies::SimulatedEvent;

/// A delivery ready to be sent. Clones share the body, as retries of one event do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The event's name; it is not sent beside the body.
    pub name: String,
    /// `X-Razorpay-Event-Id`, and `Request-Id` as well.
    pub event_id: String,
    /// `X-Razorpay-Signature`; `None` sends no such header.
    pub signature: Option<String>,
    /// `traceparent`, which Razorpay does not send; `None` sends no such header.
    pub traceparent: Option<String>,
    /// The exact bytes that were signed.
    pub body: Bytes,
}

/// What to put into the signature header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// The signature that Razorpay would send.
    Right,
    /// A well-formed signature that matches nothing.
    Wrong,
    /// A text that cannot be a signature.
    Malformed,
    /// No header, as from a webhook that was set up without a secret.
    Missing,
}

impl Signed {
    /// Signs an event as Razorpay does.
    #[must_use]
    pub fn new(event: SimulatedEvent, secret: &Secret) -> Self {
        Self::with(Signing::Right, event, secret)
    }

    /// Signs an event well or badly.
    #[must_use]
    pub fn with(signing: Signing, event: SimulatedEvent, secret: &Secret) -> Self {
        let signature = match signing {
            Signing::Right => Some(sign(secret, &event.body)),
            Signing::Wrong => Some(altered(sign(secret, &event.body))),
            Signing::Malformed => Some("not a signature".to_owned()),
            Signing::Missing => None,
        };
        Self {
            name: event.name,
            event_id: event.event_id,
            signature,
            traceparent: None,
            body: event.body.into(),
        }
    }
}

/// The signature with another first digit.
fn altered(mut signature: String) -> String {
    let digit = if signature.starts_with('0') { "1" } else { "0" };
    signature.replace_range(..1, digit);
    signature
}

#[cfg(test)]
mod tests {
    use harkara_core::catalogue::EVENTS;
    use harkara_core::delivery::Delivery;
    use harkara_core::endpoint::EndpointName;
    use harkara_core::ids::EventId;
    use harkara_core::secret::Secret;
    use harkara_core::signature::{EndpointSecrets, Refusal, verify};
    use harkara_core::time::ReceivedAt;
    use harkara_core::trace::TraceContext;

    use super::{Signed, Signing};
    use crate::Bodies;

    const NOW: i64 = 1_790_000_000;

    /// What an ingress with the secret says to a delivery: nothing, or why it refuses.
    fn refusal(delivery: &Signed) -> Option<Refusal> {
        let received = Delivery {
            endpoint: EndpointName::default_name(),
            event_id: EventId::from_header(&delivery.event_id),
            signature: delivery.signature.as_deref().map(str::as_bytes),
            trace: TraceContext::generated(1, 1),
            received_at: ReceivedAt::from_millis(NOW * 1000),
            body: delivery.body.clone(),
        };
        let secrets = EndpointSecrets::new(&[secret()]).unwrap();
        verify(received, &secrets).err()
    }

    fn secret() -> Secret {
        Secret::new("a secret of ours")
    }

    #[test]
    fn every_event_is_signed_so_that_it_verifies() {
        let mut bodies = Bodies::new(1, NOW);
        for known in EVENTS {
            let delivery = Signed::new(bodies.event(known.name), &secret());
            assert_eq!(refusal(&delivery), None, "{}", known.name);
        }
    }

    #[test]
    fn each_bad_signature_is_refused_for_its_own_reason() {
        let mut bodies = Bodies::new(1, NOW);
        for (signing, reason) in [
            (Signing::Wrong, Refusal::NoMatch),
            (Signing::Malformed, Refusal::WrongLength),
            (Signing::Missing, Refusal::Missing),
        ] {
            for _ in 0..40 {
                let delivery = Signed::with(signing, bodies.event("payment.captured"), &secret());
                assert_eq!(refusal(&delivery), Some(reason));
            }
        }
    }
}
