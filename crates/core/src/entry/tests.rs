use bytes::Bytes;
use proptest::prelude::*;

use super::{InvalidEntry, StreamEntry, event_id, event_name, field, fields_of, line};
use crate::delivery::Delivery;
use crate::durability::Durability;
use crate::endpoint::EndpointName;
use crate::ids::EventId;
use crate::secret::{Fingerprint, Secret};
use crate::signature::{EndpointSecrets, sign, verify};
use crate::time::ReceivedAt;
use crate::trace::TraceContext;

fn entry_fields(
    id: Option<&str>,
    name: &str,
    millis: i64,
    tracestate: &str,
    body: &[u8],
) -> Vec<(Bytes, Bytes)> {
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
    fields_of(&verified, name, Durability::Fsynced)
        .into_iter()
        .map(|(key, value)| {
            (
                Bytes::from_static(key.as_bytes()),
                Bytes::from(value.into_owned()),
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn an_entry_reads_back_as_appended(
        id in "[!-}]{1,128}", name in "\\PC{0,40}", millis in 0i64..4_000_000_000_000,
        tracestate in "[a-z=,]{0,20}", body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let entry = StreamEntry::from_fields(&entry_fields(Some(&id), &name, millis, &tracestate, &body)).unwrap();
        prop_assert_eq!(entry.event_id.as_str(), &id);
        prop_assert_eq!(entry.event_name, name);
        prop_assert_eq!(entry.received_at.millis(), millis);
        prop_assert_eq!(entry.trace.tracestate, tracestate);
        prop_assert_eq!(entry.signature, sign(&Secret::new("s"), &body));
        prop_assert_eq!(entry.secret_fingerprint, Some(Fingerprint::of(&Secret::new("s"))));
        prop_assert_eq!(entry.body, body);
    }

    #[test]
    fn any_fields_are_read_or_refused(fields in proptest::collection::vec((".{0,4}", proptest::collection::vec(any::<u8>(), 0..9)), 0..9)) {
        let read = StreamEntry::from_fields(&fields.into_iter().map(|(k, v)| (Bytes::from(k), Bytes::from(v))).collect::<Vec<_>>());
        prop_assert!(read.is_err());
    }
}

#[test]
fn an_invalid_entry_says_why() {
    let fields = || entry_fields(Some("e"), "payment.captured", 5, "", b"{}");
    for missing in [field::HEAD, field::BODY] {
        let mut fields = fields();
        fields.retain(|(key, _)| key != missing);
        assert_eq!(
            StreamEntry::from_fields(&fields),
            Err(InvalidEntry::MissingField(missing))
        );
    }
    let with_head = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut fields = fields();
        let mut lines: Vec<Vec<u8>> = fields[0]
            .1
            .split(|&b| b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        change(&mut lines);
        fields[0].1 = Bytes::from(lines.join(&b'\n'));
        StreamEntry::from_fields(&fields)
    };
    assert!(with_head(&|_| ()).is_ok());
    assert_eq!(
        with_head(&|lines| lines[0] = b"2".to_vec()),
        Err(InvalidEntry::UnknownVersion("2".into()))
    );
    for (at, value, name) in [
        (1, &b"a b"[..], line::EVENT_ID),
        (2, b"a/b", line::ENDPOINT),
        (2, b"\xff", "text"),
        (3, b"soon", line::RECEIVED_AT),
        (4, b"00", line::SIGNATURE),
        (6, b"a\0", line::EVENT_NAME),
        (9, b"12345", line::SECRET_FINGERPRINT),
    ] {
        assert_eq!(
            with_head(&|lines| lines[at] = value.to_vec()),
            Err(InvalidEntry::MalformedLine(name))
        );
    }
    assert_eq!(
        with_head(&|lines| lines.truncate(7)),
        Err(InvalidEntry::MalformedLine(line::TRACESTATE))
    );
}

/// Heads as each version wrote them: a running installation holds all of them.
#[test]
fn entries_of_older_versions_are_read_and_further_lines_are_ignored() {
    let [(head, written), body]: [(Bytes, Bytes); 2] =
        entry_fields(Some("e"), "payment.captured", 5, "", b"{}")
            .try_into()
            .unwrap();
    let lines: Vec<&str> = str::from_utf8(&written).unwrap().split('\n').collect();
    let read = |lines: &[&str]| {
        StreamEntry::from_fields(&[(head.clone(), Bytes::from(lines.join("\n"))), body.clone()])
            .unwrap()
    };
    let whole = read(&lines);
    assert!(whole.durability.is_some() && whole.secret_fingerprint.is_some());
    assert_eq!(read(&[&lines[..], &["of a later version"]].concat()), whole);
    let without_fingerprint = read(&lines[..9]);
    assert_eq!(without_fingerprint.secret_fingerprint, None);
    assert_eq!(without_fingerprint.durability, whole.durability);
    assert_eq!(read(&lines[..8]).durability, None);
}

#[test]
fn the_event_id_is_found_in_a_head_of_any_version() {
    let found = |head: &[u8]| event_id(head).map(|id| id.as_str().to_owned());
    assert_eq!(found(b"9\nevt1\n\xff"), Some("evt1".to_owned()));
    assert_eq!(found(b"9"), None);
    assert_eq!(found(b"9\na b"), None);
}

#[test]
fn the_event_name_is_read_wherever_it_is() {
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
