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
    /// `X-Razorpay-Signature`.
    pub signature: String,
    /// `traceparent`, which Razorpay does not send; `None` sends no such header.
    pub traceparent: Option<String>,
    /// The exact bytes that were signed.
    pub body: Bytes,
}

impl Signed {
    /// Signs an event as Razorpay does.
    #[must_use]
    pub fn new(event: SimulatedEvent, secret: &Secret) -> Self {
        Self {
            name: event.name,
            event_id: event.event_id,
            signature: sign(secret, &event.body),
            traceparent: None,
            body: event.body.into(),
        }
    }

    /// Signs an event with a well-formed signature that matches nothing.
    #[must_use]
    pub(crate) fn with_bad_signature(event: SimulatedEvent, secret: &Secret) -> Self {
        let mut signed = Self::new(event, secret);
        let is_zero = signed.signature.starts_with('0');
        let first = if is_zero { "1" } else { "0" };
        signed.signature.replace_range(..1, first);
        signed
    }
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

    use super::Signed;
    use crate::Bodies;

    const NOW: i64 = 1_790_000_000;

    /// Why an ingress with the secret refuses a delivery.
    fn refusal(delivery: &Signed, secret: Secret) -> Option<Refusal> {
        let received = Delivery {
            endpoint: EndpointName::default_name(),
            event_id: EventId::from_header(&delivery.event_id),
            signature: Some(delivery.signature.as_bytes()),
            trace: TraceContext::generated(1, 1),
            received_at: ReceivedAt::from_millis(NOW * 1000),
            body: delivery.body.clone(),
        };
        verify(received, &EndpointSecrets::new(&[secret]).unwrap()).err()
    }

    #[test]
    fn every_event_is_signed_so_that_it_verifies_or_matches_nothing() {
        let mut bodies = Bodies::new(1, NOW);
        let secret = || Secret::new("a secret of ours");
        for known in EVENTS {
            let event = bodies.event(known.name);
            let bad = Signed::with_bad_signature(event.clone(), &secret());
            assert_eq!(refusal(&bad, secret()), Some(Refusal::NoMatch));
            let delivery = Signed::new(event, &secret());
            assert_eq!(refusal(&delivery, secret()), None, "{}", known.name);
        }
    }
}
