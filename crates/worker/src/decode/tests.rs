use std::time::Duration;

use bytes::Bytes;
use harkara_core::entry::{EntryId, EntryRef, field};
use harkara_core::lane::Lane;
use harkara_core::retry::RetryPolicy;
use harkara_core::time::ReceivedAt;
use harkara_storage::record::{EventRecord, Verdict};

use super::{entry, set_aside};
use crate::group::ClaimedEntry;
use crate::road::Retries;

const RETRIES: Retries = Retries(RetryPolicy {
    first: Duration::from_secs(1),
    max: Duration::from_secs(1),
    attempts_max: 3,
});

fn claimed(fields: &[(&str, &str)]) -> ClaimedEntry {
    ClaimedEntry {
        entry: EntryRef {
            lane: Lane::Normal,
            id: EntryId::parse("5-1").unwrap(),
        },
        fields: fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
    }
}

fn whole<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        (field::VERSION, "1"),
        (field::ENDPOINT, "live"),
        (field::EVENT_ID, "evt1"),
        (field::EVENT_NAME, "moon.landed"),
        (field::RECEIVED_AT, "1700000000000"),
        (field::SIGNATURE, "ab"),
        (
            field::BODY,
            r#"{"event":"moon.landed","account_id":"acc_1","created_at":9}"#,
        ),
    ];
    for (name, value) in changed {
        fields.retain(|(held, _)| held != name);
        fields.push((name, value));
    }
    fields
}

fn record(fields: &[(&str, &str)]) -> EventRecord {
    entry(claimed(fields), &RETRIES, ReceivedAt::from_millis(7))
}

#[test]
fn an_entry_becomes_a_record_with_its_event() {
    let record = record(&whole(&[]));
    assert_eq!(
        (record.endpoint.as_str(), record.event_id.as_str()),
        ("live", "evt1")
    );
    assert_eq!(
        (record.lane, record.received_at.millis()),
        (Lane::Normal, 1_700_000_000_000)
    );
    assert_eq!(record.account_id.unwrap().as_str(), "acc_1");
    assert!(matches!(record.verdict, Verdict::Project(event) if event.head.name == "moon.landed"));
}

#[test]
fn a_body_that_is_no_event_keeps_the_name_that_the_ingress_saw() {
    let record = record(&whole(&[(field::BODY, "{}")]));
    assert_eq!(record.event_type, "moon.landed");
    assert!(
        matches!(record.verdict, Verdict::Fail { error } if error == "the body has no event name")
    );
}

#[test]
fn what_the_ledger_cannot_hold_is_replaced_and_the_body_kept() {
    let long = "x".repeat(5000);
    let record = record(&whole(&[
        (field::ENDPOINT, "a\0b"),
        (field::EVENT_ID, &long),
        (field::EVENT_NAME, "\0"),
        (field::TRACEPARENT, "nonsense\0"),
        (field::BODY, "\0"),
    ]));
    assert_eq!(
        (record.endpoint.as_str(), record.event_type.as_str()),
        ("unknown", "unknown")
    );
    assert!(record.event_id.as_str().starts_with("sha256:"));
    assert_eq!(
        (record.signature.as_str(), record.trace.traceparent.as_str()),
        ("", "")
    );
    assert_eq!(record.body.as_ref(), b"\0");
}

#[test]
fn an_entry_without_a_body_keeps_its_fields_as_evidence() {
    let record = record(&[("hello", "world")]);
    assert_eq!(
        record.body.as_ref(),
        b"stream entry normal 5-1: hello=world"
    );
    assert!(matches!(record.verdict, Verdict::Fail { .. }));
}

#[test]
fn an_entry_set_aside_is_not_read() {
    let record = set_aside(claimed(&whole(&[])), 6, ReceivedAt::from_millis(7));
    assert_eq!(record.event_id.as_str(), "evt1");
    assert!(matches!(record.verdict, Verdict::Fail { error } if error.contains("claimed 6 times")));
}
