//! What a commit leaves in the ledger.

use std::collections::BTreeMap;

use harkara_core::catalogue::{self, EVENTS};
use harkara_core::ids::{AccountId, EventId};
use harkara_core::time::EventTime;
use harkara_simulator::edge_cases;
use harkara_storage::ledger::{EventStatus, find};
use harkara_storage::record::{EventRecord, Origin, Verdict};
use harkara_testkit::TestDatabase;

use crate::records::{all_claimed, bodies, claimed, commit, event};

/// Checks that every record has a row of its own that keeps all of it.
async fn check_rows(db: &TestDatabase, records: &[EventRecord]) {
    let ids: Vec<String> = records
        .iter()
        .map(|record| record.claimed.event_id.to_string())
        .collect();
    let found = find(&db.pool(), &ids).await.unwrap();
    let rows: BTreeMap<_, _> = found
        .iter()
        .map(|event| (event.row.razorpay_event_id.as_str(), event))
        .collect();
    assert_eq!((found.len(), rows.len()), (records.len(), records.len()));
    for record in records {
        let event = rows[record.claimed.event_id.as_str()];
        let (row, name) = (&event.row, &record.claimed.event_type);
        let failed = matches!(record.verdict, Verdict::Fail { .. });
        assert_eq!(
            row.status,
            if failed {
                EventStatus::Failed
            } else {
                EventStatus::Processed
            },
            "{name}"
        );
        assert_eq!(row.processed, !failed, "{name}");
        assert_eq!(row.processed_at.is_some(), !failed, "{name}");
        assert_eq!(row.error.is_some(), failed, "{name}");
        assert_eq!(&row.event_type, name);
        assert_eq!(
            row.account_id.as_deref(),
            record.account_id.as_ref().map(AccountId::as_str),
            "{name}"
        );
        assert_eq!(
            (row.endpoint.as_str(), row.lane.as_str()),
            (
                record.claimed.endpoint.as_str(),
                record.claimed.lane.as_str()
            )
        );
        assert_eq!(
            row.occurred_at.map(|at| at.timestamp()),
            record.occurred_at.map(EventTime::seconds),
            "{name}"
        );
        assert_eq!(
            row.created_at.timestamp_micros(),
            record.claimed.received_at.millis() * 1000,
            "{name}"
        );
        assert_eq!(
            row.traceparent.as_deref(),
            Some(record.claimed.trace.traceparent.as_str())
        );
        assert_eq!(
            row.secret_fingerprint,
            record
                .claimed
                .secret_fingerprint
                .map(|print| print.to_string()),
            "{name}"
        );
        assert_eq!(
            (row.duplicates, row.other_id_duplicates, row.attempts),
            (0, 0, 1),
            "{name}"
        );
        assert_eq!(row.next_attempt_at, None);
        assert_eq!(event.body, record.claimed.body, "{name}");
        assert_eq!(event.body_sha256, record.claimed.body_sha256, "{name}");
        assert_eq!(event.signature, record.claimed.signature, "{name}");
        assert_eq!(
            usize::try_from(row.body_bytes).unwrap(),
            record.claimed.body.len()
        );
    }
}

#[tokio::test]
async fn every_typed_event_is_kept_whole_and_processed() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let events: Vec<_> = catalogue::typed()
        .map(|known| bodies.event(known.name))
        .collect();
    let records = all_claimed(&events);
    let committed = commit(&db.pool(), records.clone()).await.unwrap();
    assert_eq!(
        (committed.outcome().processed, committed.outcome().failed),
        (30, 0)
    );
    check_rows(&db, &records).await;
}

#[tokio::test]
async fn every_catalogued_event_and_an_unknown_one_is_kept_whole_and_processed() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let names = EVENTS.iter().map(|known| known.name).chain(["moon.landed"]);
    let events: Vec<_> = names.map(|name| bodies.event(name)).collect();
    let records = all_claimed(&events);
    let committed = commit(&db.pool(), records.clone()).await.unwrap();
    assert_eq!(
        (committed.outcome().processed, committed.outcome().failed),
        (EVENTS.len() + 1, 0)
    );
    check_rows(&db, &records).await;
}

#[tokio::test]
async fn every_strange_body_is_kept_whole() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let events: Vec<_> = edge_cases::ALL
        .iter()
        .map(|edge_case| {
            let body = edge_case.body(&mut bodies);
            harkara_simulator::SimulatedEvent {
                event_id: edge_case.name.to_owned(),
                name: String::new(),
                body,
            }
        })
        .collect();
    let records = all_claimed(&events);
    commit(&db.pool(), records.clone()).await.map(drop).unwrap();
    check_rows(&db, &records).await;
}

#[tokio::test]
async fn a_body_of_any_bytes_is_kept() {
    let db = TestDatabase::migrated().await;
    let all_bytes: Vec<u8> = (0..=u8::MAX).collect();
    let mut binary = event("binary", "");
    binary.body = all_bytes.repeat(4096);
    let records = all_claimed([&binary, &event("empty", "")]);
    commit(&db.pool(), records.clone()).await.map(drop).unwrap();
    check_rows(&db, &records).await;
}

#[tokio::test]
async fn a_committed_batch_gives_its_stream_entries_whatever_became_of_them() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let (good, bad) = (bodies.event("payment.captured"), event("bad", "not json"));
    let records = all_claimed([&good, &bad, &good]);
    let entries: Vec<_> = records
        .iter()
        .map(|record| match &record.claimed.origin {
            Origin::Stream(entry) => *entry,
            Origin::Inbox | Origin::Ledger { .. } => panic!("claimed from a stream"),
        })
        .collect();
    let committed = commit(&db.pool(), records).await.unwrap();
    assert_eq!(committed.entries(), entries);
    let outcome = committed.outcome();
    assert_eq!(
        (outcome.processed, outcome.failed, outcome.duplicates),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn an_empty_batch_commits() {
    let db = TestDatabase::migrated().await;
    let committed = commit(&db.pool(), Vec::new()).await.unwrap();
    assert_eq!(
        committed.outcome(),
        harkara_storage::commit::Outcome::default()
    );
}

#[tokio::test]
async fn a_delivery_without_trace_or_account_or_time_has_nulls() {
    let db = TestDatabase::migrated().await;
    let mut record = claimed(&event("bare", r#"{"event":"moon.landed"}"#));
    record.claimed.trace = harkara_core::trace::TraceContext::default();
    commit(&db.pool(), vec![record]).await.map(drop).unwrap();
    let nulls: bool = db
        .value("SELECT traceparent IS NULL AND tracestate IS NULL AND account_id IS NULL AND occurred_at IS NULL FROM webhook_events")
        .await;
    assert!(nulls);
}

#[tokio::test]
async fn an_event_is_found_by_its_id_alone() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let events = [bodies.event("order.paid"), bodies.event("order.paid")];
    commit(&db.pool(), all_claimed(&events))
        .await
        .map(drop)
        .unwrap();
    let found = find(&db.pool(), std::slice::from_ref(&events[1].event_id))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        EventId::stored(found[0].row.razorpay_event_id.clone()).as_str(),
        events[1].event_id
    );
    assert!(
        find(&db.pool(), &["nobody".to_owned()])
            .await
            .unwrap()
            .is_empty()
    );
}
