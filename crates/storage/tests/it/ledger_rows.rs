//! The ledger rows of a commit.

use std::collections::BTreeMap;

use chrono::DateTime;
use harkara_core::catalogue::{self, EVENTS};
use harkara_core::time::EventTime;
use harkara_simulator::{SimulatedEvent, edge_cases};
use harkara_storage::commit::Outcome;
use harkara_storage::ledger::{EventRow, EventStatus, find};
use harkara_storage::record::{EventRecord, Verdict};

use crate::records::{all_claimed, bodies, claimed, event};
use crate::store::{Store, commit, settled};

/// Commits records and checks that each has its own row that keeps all of it.
async fn check_rows(records: Vec<EventRecord>) -> Outcome {
    let store = Store::migrated().await;
    let outcome = store.commit(records.clone()).await;
    let ids = records.iter().map(|r| r.claimed.event_id.to_string());
    let ids: Vec<String> = ids.collect();
    let found = find(&store.pool, &ids).await.unwrap();
    let rows: BTreeMap<_, _> = found
        .iter()
        .map(|event| (event.row.razorpay_event_id.as_str(), event))
        .collect();
    assert_eq!((found.len(), rows.len()), (records.len(), records.len()));
    for EventRecord {
        claimed,
        account_id,
        occurred_at,
        verdict,
    } in records
    {
        let event = rows[claimed.event_id.as_str()];
        let (status, failed) = match verdict {
            Verdict::Fail { .. } => (EventStatus::Failed, true),
            _ => (EventStatus::Processed, false),
        };
        let seconds = |at: EventTime| DateTime::from_timestamp(at.seconds(), 0).unwrap();
        let row = EventRow {
            razorpay_event_id: claimed.event_id.to_string(),
            event_type: claimed.event_type.to_string(),
            account_id: account_id.map(|id| id.to_string()),
            endpoint: claimed.endpoint.to_string(),
            lane: claimed.lane.to_string(),
            status,
            processed: !failed,
            occurred_at: occurred_at.map(seconds),
            created_at: DateTime::from_timestamp_millis(claimed.received_at.millis()).unwrap(),
            processed_at: event.row.processed_at,
            duplicates: 0,
            other_id_duplicates: 0,
            attempts: 1,
            next_attempt_at: None,
            error: event.row.error.clone(),
            traceparent: Some(claimed.trace.traceparent),
            durability: None,
            secret_fingerprint: claimed.secret_fingerprint.map(|print| print.to_string()),
            body_bytes: claimed.body.len().try_into().unwrap(),
        };
        assert_eq!(format!("{:?}", event.row), format!("{row:?}"));
        assert_eq!(row.processed_at.is_some(), !failed);
        assert_eq!(row.error.is_some(), failed);
        assert_eq!(event.body, claimed.body, "{}", row.event_type);
        assert_eq!(event.body_sha256, claimed.body_sha256);
        assert_eq!(event.signature, claimed.signature);
    }
    outcome
}

#[tokio::test]
async fn every_catalogued_event_and_an_unknown_one_is_kept_whole_and_processed() {
    let mut bodies = bodies();
    let names = EVENTS.iter().map(|spec| spec.name).chain(["moon.landed"]);
    let events: Vec<_> = names.map(|name| bodies.event(name)).collect();
    let outcome = check_rows(all_claimed(&events)).await;
    assert_eq!((outcome.processed, outcome.failed), (EVENTS.len() + 1, 0));
    assert_eq!(catalogue::typed().count(), 30);
}

#[tokio::test]
async fn every_strange_body_is_kept_whole() {
    let cases = edge_cases::all(&mut bodies()).into_iter();
    let events: Vec<_> = cases
        .map(|(name, body)| SimulatedEvent {
            event_id: name,
            name: String::new(),
            body,
        })
        .collect();
    check_rows(all_claimed(&events)).await;
}

#[tokio::test]
async fn a_body_of_any_bytes_is_kept() {
    let all_bytes: Vec<u8> = (0..=u8::MAX).collect();
    let mut binary = event("binary", "");
    binary.body = all_bytes.repeat(4096);
    check_rows(all_claimed([&binary, &event("empty", "")])).await;
}

#[tokio::test]
async fn a_committed_batch_has_all_its_stream_entries() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let (good, bad) = (bodies.event("payment.captured"), event("bad", "not json"));
    let records = all_claimed([&good, &bad, &good]);
    let entries: Vec<_> = records.iter().map(|r| r.claimed.entry().unwrap()).collect();
    let committed = commit(&store.pool, records).await.unwrap();
    assert_eq!(committed.entries(), entries);
    let outcome = committed.outcome();
    assert_eq!((settled(outcome), outcome.duplicates), ((1, 1, 0), 1));
}

#[tokio::test]
async fn an_empty_batch_commits() {
    let store = Store::migrated().await;
    assert_eq!(store.commit(Vec::new()).await, Outcome::default());
}

#[tokio::test]
async fn a_delivery_without_trace_or_account_or_time_has_nulls() {
    let store = Store::migrated().await;
    let mut record = claimed(&event("bare", r#"{"event":"moon.landed"}"#));
    record.claimed.trace = harkara_core::trace::TraceContext::default();
    store.commit(vec![record]).await;
    let nulls =
        "webhook_events WHERE num_nonnulls(traceparent, tracestate, account_id, occurred_at) = 0";
    assert_eq!(store.count(nulls).await, 1);
}

#[tokio::test]
async fn an_event_is_found_by_its_id_alone() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let events = [bodies.event("order.paid"), bodies.event("order.paid")];
    store.deliver(&events).await;
    for (id, expected) in [(events[1].event_id.as_str(), 1), ("nobody", 0)] {
        let found = find(&store.pool, &[id.to_owned()]).await.unwrap();
        assert_eq!(found.len(), expected);
        assert!(found.iter().all(|event| event.row.razorpay_event_id == id));
    }
}
