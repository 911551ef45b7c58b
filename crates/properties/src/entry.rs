use bytes::Bytes;
use harkara_core::delivery::{Delivery, VerifiedDelivery};
use harkara_core::durability::Durability;
use harkara_core::endpoint::EndpointName;
use harkara_core::entry::{self, StreamEntry, field};
use harkara_core::ids::EventId;
use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, sign, verify};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;

/// What ends a header in the input.
pub(crate) const HEADER_END: u8 = b'\n';

/// What ends the head of an entry in the input.
pub(crate) const HEAD_END: u8 = 0;

/// An entry reads back as it was written, whatever came in the headers and the body, and whatever is in
/// a stream is read or refused.
///
/// The input is read twice: as a request (event id, endpoint, `traceparent`, `tracestate`, time of receipt,
/// each with `HEADER_END`, and a body), and as an entry (a head, `HEAD_END` and a body).
pub fn entry(input: &[u8]) {
    reads_back(input);
    is_read_or_refused(input);
}

fn reads_back(input: &[u8]) {
    let mut parts = input.splitn(6, |&byte| byte == HEADER_END);
    let mut header = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (event_id, endpoint) = (header(), header());
    let (traceparent, tracestate) = (header(), header());
    let received_at = header().parse().unwrap_or_default();
    let delivery = delivery(
        EventId::from_header(event_id),
        EndpointName::parse(endpoint).unwrap_or_else(|_| EndpointName::default_name()),
        TraceContext::parse(traceparent, Some(tracestate)).unwrap_or_default(),
        ReceivedAt::from_millis(received_at),
        parts.next().unwrap_or_default(),
    );
    let name = entry::event_name(delivery.body()).unwrap_or_default();
    let durability = Durability::ALL[input.len() % Durability::ALL.len()];

    let fields = entry::fields_of(&delivery, &name, durability);
    let fields = fields.map(|(name, value)| (Bytes::from(name), Bytes::from(value.into_owned())));
    assert_eq!(
        entry::event_id(&fields[0].1).as_ref(),
        Some(delivery.event_id())
    );
    let expected = StreamEntry {
        endpoint: delivery.endpoint().clone(),
        event_id: delivery.event_id().clone(),
        event_name: name.as_ref().into(),
        received_at: delivery.received_at(),
        signature: delivery.signature().to_owned(),
        trace: delivery.trace().clone(),
        durability: Some(durability),
        secret_fingerprint: Some(delivery.secret_fingerprint()),
        body: delivery.body().clone(),
    };
    assert_eq!(StreamEntry::from_fields(&fields), Ok(expected));
}

/// A verified delivery.
pub(crate) fn delivery(
    event_id: Option<EventId>,
    endpoint: EndpointName,
    trace: TraceContext,
    received_at: ReceivedAt,
    body: &[u8],
) -> VerifiedDelivery {
    let secret = Secret::new("secret");
    let signature = sign(&secret, body);
    let delivery = Delivery {
        endpoint,
        event_id,
        signature: Some(signature.as_bytes()),
        trace,
        received_at,
        body: Bytes::copy_from_slice(body),
    };
    let secrets = EndpointSecrets::new(&[secret]).expect("the secret is sound");
    verify(delivery, &secrets).expect("the signature is right")
}

fn is_read_or_refused(input: &[u8]) {
    let end = input.iter().position(|&byte| byte == HEAD_END);
    let (head, body) = input.split_at(end.unwrap_or(input.len()));
    let fields = [
        (Bytes::from(field::HEAD), Bytes::copy_from_slice(head)),
        (Bytes::from(field::BODY), Bytes::copy_from_slice(body)),
    ];
    match StreamEntry::from_fields(&fields) {
        Ok(read) => {
            assert_eq!(read.body, body);
            assert_eq!(entry::event_id(head), Some(read.event_id));
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
    StreamEntry::from_fields(&fields[..1]).expect_err("an entry without a body is none");
}
