use std::time::{Duration, Instant};

use bytes::Bytes;
use harkara_core::entry::{EntryId, EntryRef, field};
use harkara_core::lane::Lane;
use harkara_core::retry::RetryPolicy;
use harkara_core::time::ReceivedAt;
use harkara_storage::record::{EventRecord, Origin, Verdict};

use super::{dead_letter, entry, leased};
use harkara_streams::consumer_group::ClaimedEntry;

const RETRIES: RetryPolicy = RetryPolicy {
    first: Duration::from_secs(1),
    max: Duration::from_secs(1),
    attempts_max: 3,
};

fn claimed(fields: &[(&str, &str)]) -> ClaimedEntry {
    ClaimedEntry {
        entry: EntryRef {
            lane: Lane::Normal,
            id: EntryId::parse("5-1").unwrap(),
        },
        claimed_at: Instant::now(),
        fields: fields
            .iter()
            .map(|(name, value)| {
                (
                    Bytes::copy_from_slice(name.as_bytes()),
                    Bytes::copy_from_slice(value.as_bytes()),
                )
            })
            .collect(),
    }
}

const HEAD: &str = "1\nevt1\nlive\n1700000000000\n\
    5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\n\nmoon.landed\n";

fn whole<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        (field::HEAD, HEAD),
        (
            field::BODY,
            r#"{"event":"moon.landed","account_id":"acc_1","created_at":9}"#,
        ),
    ];
    for (name, value) in changed {
        fields.retain(|(field, _)| field != name);
        fields.push((name, value));
    }
    fields
}

fn record(fields: &[(&str, &str)]) -> EventRecord {
    entry(&claimed(fields), &RETRIES, ReceivedAt::from_millis(7))
}

fn error(record: &EventRecord) -> &str {
    let Verdict::Fail { error } = &record.verdict else {
        panic!("{record:?}")
    };
    error
}

#[test]
fn an_entry_becomes_a_record_with_its_event() {
    let EventRecord {
        claimed,
        account_id,
        verdict,
        ..
    } = record(&whole(&[]));
    assert_eq!(
        (claimed.endpoint.as_str(), claimed.event_id.as_str()),
        ("live", "evt1")
    );
    assert_eq!(
        (claimed.lane, claimed.received_at.millis()),
        (Lane::Normal, 1_700_000_000_000)
    );
    assert_eq!(account_id.unwrap().as_str(), "acc_1");
    assert!(matches!(verdict, Verdict::Project(event) if event.head.name == "moon.landed"));
}

#[test]
fn a_body_that_is_no_event_keeps_the_name_that_the_ingress_read() {
    let record = record(&whole(&[(field::BODY, "{}")]));
    assert_eq!(record.claimed.event_type, "moon.landed");
    assert_eq!(error(&record), "the body has no event name");
}

#[test]
fn a_foreign_entry_keeps_its_body_and_nothing_that_the_ledger_cannot_store() {
    let head = HEAD.replace("evt1", "a b").replace("live", "a\0b");
    let record = record(&whole(&[(field::HEAD, &head), (field::BODY, "\0")]));
    assert_eq!(record.claimed.endpoint, "unknown");
    assert!(record.claimed.event_id.as_str().starts_with("sha256:"));
    assert_eq!(record.claimed.body.as_ref(), b"\0");
    assert_eq!(
        error(&record),
        "the endpoint in the stream entry's head is malformed"
    );
}

#[test]
fn an_entry_without_a_body_keeps_its_fields_as_evidence() {
    let record = record(&[("hello", "world"), ("more", "1")]);
    assert_eq!(
        record.claimed.body.as_ref(),
        b"stream entry normal 5-1\nhello=world\nmore=1\n"
    );
    assert_eq!(error(&record), "stream entry has no field \"head\"");
}

#[test]
fn an_entry_claimed_too_often_is_not_parsed() {
    let record = dead_letter(&claimed(&whole(&[])), 6, ReceivedAt::from_millis(7));
    assert_eq!(record.claimed.event_id.as_str(), "evt1");
    assert!(error(&record).contains("claimed 6 times"));
}

#[test]
fn a_row_whose_attempts_all_crashed_their_workers_is_given_up() {
    let row = |attempts| {
        let mut event = record(&whole(&[])).claimed;
        event.origin = Origin::Ledger {
            attempts,
            leased_until_micros: 1,
            is_first: false,
            created_at_micros: 1,
        };
        leased(event, &RETRIES)
    };
    // Three attempts may fail; three more may crash their workers.
    assert!(matches!(row(5).verdict, Verdict::Project(_)));
    assert_eq!(
        error(&row(6)),
        "given up unread: 5 attempts started and at least 3 never finished, so it may crash its workers"
    );
}
