use bytes::Bytes;
use proptest::prelude::*;

use super::{InvalidEntry, StreamEntry, event_name, field, fields_of};
use crate::delivery::Delivery;
use crate::endpoint::EndpointName;
use crate::ids::EventId;
use crate::secret::Secret;
use crate::signature::{EndpointSecrets, sign, verify};
use crate::time::ReceivedAt;
use crate::trace::TraceContext;

fn entry_fields(
    id: Option<&str>,
    name: &str,
    millis: i64,
    tracestate: &str,
    body: &[u8],
) -> Vec<(String, Bytes)> {
    let secret = Secret::new("s");
    let signature = sign(&secret, body);
    let delivery = Delivery {
        endpoint: EndpointName::default_name(),
        event_id: id.and_then(EventId::from_header),
        signature: Some(signature.as_bytes()),
        trace: TraceContext {
            tracestate: tracestate.to_owned(),
            ..TraceContext::generated(1, 2)
        },
        received_at: ReceivedAt::from_millis(millis),
        body: Bytes::copy_from_slice(body),
    };
    let verified = verify(delivery, &EndpointSecrets::new(&[secret]).unwrap())
        .ok()
        .unwrap();
    fields_of(&verified, name)
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Bytes::from(value.into_owned())))
        .collect()
}

proptest! {
    #[test]
    fn what_is_appended_is_what_is_read_back(
        id in "[!-}]{1,128}", name in "\\PC{0,40}", millis in 0i64..4_000_000_000_000,
        tracestate in "[a-z=,]{0,20}", body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let entry = StreamEntry::from_fields(&entry_fields(Some(&id), &name, millis, &tracestate, &body)).unwrap();
        prop_assert_eq!(entry.event_id.as_str(), &id);
        prop_assert_eq!(entry.event_name, name);
        prop_assert_eq!(entry.received_at.millis(), millis);
        prop_assert_eq!(entry.trace.tracestate, tracestate);
        prop_assert_eq!(entry.signature, sign(&Secret::new("s"), &body));
        prop_assert_eq!(entry.body, body);
    }

    #[test]
    fn any_fields_are_read_or_refused(fields in proptest::collection::vec((".{0,4}", proptest::collection::vec(any::<u8>(), 0..9)), 0..9)) {
        let read = StreamEntry::from_fields(&fields.into_iter().map(|(k, v)| (k, Bytes::from(v))).collect::<Vec<_>>());
        prop_assert!(read.is_err());
    }
}

#[test]
fn a_refused_entry_says_why() {
    let fields = || entry_fields(Some("e"), "payment.captured", 5, "", b"{}");
    let without = |name: &str| {
        StreamEntry::from_fields(
            &fields()
                .into_iter()
                .filter(|(key, _)| key != name)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        without(field::BODY),
        Err(InvalidEntry::MissingField(field::BODY))
    );
    let with = |name: &str, value: &'static [u8]| {
        let mut fields = fields();
        for field in fields.iter_mut().filter(|(key, _)| key == name) {
            field.1 = Bytes::from_static(value);
        }
        StreamEntry::from_fields(&fields)
    };
    assert_eq!(
        with(field::VERSION, b"2"),
        Err(InvalidEntry::UnknownVersion("2".into()))
    );
    assert_eq!(
        with(field::RECEIVED_AT, b"soon"),
        Err(InvalidEntry::MalformedField(field::RECEIVED_AT))
    );
    for (name, value) in [
        (field::ENDPOINT, &b"\xff"[..]),
        (field::ENDPOINT, b"a/b"),
        (field::EVENT_ID, b"a b"),
        (field::EVENT_NAME, b"a\0"),
        (field::SIGNATURE, b"00"),
    ] {
        assert_eq!(with(name, value), Err(InvalidEntry::MalformedField(name)));
    }
}

#[test]
fn the_event_name_is_read_wherever_it_stands() {
    let name = |body: &str| event_name(body.as_bytes()).map(std::borrow::Cow::into_owned);
    assert_eq!(
        name(r#"{"payload":{"event":"no"},"event":"a.b"}"#).as_deref(),
        Some("a.b")
    );
    assert_eq!(name(r#"{"event":"a\u002eb"}"#).as_deref(), Some("a.b"));
    let long = format!(r#"{{"event":"{}"}}"#, "x".repeat(201));
    for none in [
        "",
        "[]",
        "null",
        "{",
        r#"{"event":3}"#,
        r#"{"events":"x"}"#,
        r#"{"event":"\u0000"}"#,
        &long,
    ] {
        assert_eq!(name(none), None, "{none}");
    }
}
