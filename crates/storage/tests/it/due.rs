//! Leasing due events and settling them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use harkara_core::time::ReceivedAt;
use harkara_storage::commit::Outcome;
use harkara_storage::ledger::{LeaseBounds, release};
use harkara_storage::record::{ClaimedEvent, EventRecord, Origin, Verdict};

use crate::records::{LEASE_BOUNDS, claimed, numbered, payment, retries, to_retry, with_verdict};
use crate::store::{Store, commit, settled};

/// Stores pending events `e00`, `e01`, …, the first due the longest.
async fn pending(count: usize) -> Store {
    let store = Store::migrated().await;
    assert_eq!(store.commit(retries(count)).await.retried, count);
    let due = "now() - interval '1 hour' + substr(razorpay_event_id, 2)::int * interval '1 second'";
    store.set(&format!("next_attempt_at = {due}")).await;
    store
}

/// Leases some rows, each with the verdict that its body deserves.
async fn leased(store: &Store, rows_max: usize) -> Vec<EventRecord> {
    let events = store.lease(rows_max).await;
    events.into_iter().map(with_verdict).collect()
}

fn ids(events: &[ClaimedEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_id.as_str()).collect()
}

fn only_superseded(superseded: usize) -> Outcome {
    Outcome {
        superseded,
        ..Outcome::default()
    }
}

#[tokio::test]
async fn only_due_rows_are_leased_oldest_first_and_each_once() {
    let store = pending(7).await;
    for (id, columns) in [
        ("e01", "next_attempt_at = now() + interval '1 hour'"),
        ("e05", "next_attempt_at = now() - interval '1 day'"),
        ("e03", "status = 'failed', next_attempt_at = NULL"),
    ] {
        let change = format!("{columns} WHERE razorpay_event_id = '{id}'");
        store.set(&change).await;
    }
    assert_eq!(ids(&store.lease(3).await), ["e05", "e00", "e02"]);
    assert_eq!(ids(&store.lease(9).await), ["e04", "e06"]);
    assert!(store.lease(9).await.is_empty());
    let attempts = store.ledger("attempts").await.concat();
    assert_eq!(attempts, "2121222");
}

#[tokio::test]
async fn a_leased_event_is_the_delivered_one() {
    let store = Store::migrated().await;
    let mut record = to_retry(&payment("evt", "pay_1", "captured", 10), Duration::ZERO);
    record.claimed.trace.tracestate = "vendor=1".to_owned();
    record.claimed.endpoint = "live".into();
    store.commit(vec![record.clone()]).await;
    let (leased, stored) = (store.lease(1).await.remove(0), record.claimed);
    let Origin::Ledger {
        created_at_micros,
        leased_until_micros,
        attempts: 2,
        ..
    } = leased.origin
    else {
        panic!("{:?}", leased.origin)
    };
    assert_eq!(created_at_micros, stored.received_at.millis() * 1000);
    assert!(leased_until_micros > chrono::Utc::now().timestamp_micros());
    // The rest is as it was, except for the columns that a lease does not read.
    let expected = ClaimedEvent {
        origin: leased.origin.clone(),
        durability: None,
        secret_fingerprint: None,
        ..stored
    };
    assert_eq!(format!("{leased:?}"), format!("{expected:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_leases_never_share_a_row() {
    let store = pending(60).await;
    let lease_all = async || {
        let mut leased = Vec::new();
        loop {
            let more = store.lease(3).await;
            if more.is_empty() {
                return leased;
            }
            leased.extend(more);
        }
    };
    let mut all = join_all((0..4).map(|_| lease_all())).await.concat();
    all.extend(store.lease(60).await);
    assert_eq!(all.len(), 60);
    assert_eq!(ids(&all).into_iter().collect::<BTreeSet<_>>().len(), 60);
}

#[tokio::test]
async fn a_row_that_another_transaction_locks_is_skipped() {
    let store = pending(3).await;
    store
        .execute("BEGIN; SELECT 1 FROM webhook_events WHERE razorpay_event_id = 'e01' FOR UPDATE")
        .await;
    assert_eq!(ids(&store.lease(9).await), ["e00", "e02"]);
    store.execute("ROLLBACK").await;
    assert_eq!(ids(&store.lease(9).await), ["e01"]);
}

#[tokio::test]
async fn a_leased_event_is_processed_once_and_a_second_commit_changes_nothing() {
    let store = pending(2).await;
    let batch = leased(&store, 9).await;
    let committed = commit(&store.pool, batch.clone()).await.unwrap();
    let outcome = committed.outcome();
    assert_eq!((outcome.processed, outcome.applied.changed), (2, 2));
    assert!(committed.entries().is_empty());
    let rows = "SELECT razorpay_event_id, status, processed_at, error, next_attempt_at FROM webhook_events";
    let before = store.rows(rows).await;
    assert_eq!(store.commit(batch).await, only_superseded(2));
    assert_eq!(store.rows(rows).await, before);
    let settled = "webhook_events WHERE processed AND processed_at IS NOT NULL AND error IS NULL";
    assert_eq!(store.count(settled).await, 2);
    assert_eq!(store.count("audit_logs").await, 2);
}

#[tokio::test]
async fn rows_are_due_again_when_their_lease_ends_and_a_late_commit_changes_nothing() {
    let store = pending(1).await;
    let expired = LeaseBounds {
        lease: Duration::ZERO,
        ..LEASE_BOUNDS
    };
    let first = store.lease_within(expired).await.events.remove(0);
    let second = store.lease(1).await.remove(0);
    assert_eq!((first.attempts(), second.attempts()), (2, 3));

    let late = store.commit(vec![with_verdict(first)]).await;
    assert_eq!(late, only_superseded(1));
    assert_eq!(store.count("payment_transactions").await, 0);
    assert_eq!(store.commit(vec![with_verdict(second)]).await.processed, 1);
}

#[tokio::test]
async fn a_leased_event_can_be_retried_again_or_given_up() {
    let store = pending(2).await;
    let verdicts = [
        Verdict::Retry {
            error: "again".to_owned(),
            after: Duration::from_mins(1),
        },
        Verdict::Fail {
            error: "enough".to_owned(),
        },
    ];
    let records = leased(&store, 2).await.into_iter().zip(verdicts);
    let batch = records.map(|(record, verdict)| EventRecord { verdict, ..record });
    assert_eq!(settled(store.commit(batch.collect()).await), (0, 1, 1));
    let columns = "status, error, attempts, next_attempt_at > now()";
    let rows = ["pending again 2 t", "failed enough 2"];
    assert_eq!(store.ledger(columns).await, rows);
    assert!(store.lease(9).await.is_empty(), "failed stays failed");
}

#[tokio::test]
async fn a_delivery_of_a_leased_event_is_a_duplicate() {
    let store = pending(1).await;
    let mut batch = leased(&store, 1).await;
    // Both sources in one batch.
    batch.insert(0, claimed(&numbered(0)));
    let outcome = store.commit(batch).await;
    assert_eq!((outcome.processed, outcome.duplicates), (1, 1));
    assert_eq!(store.ledger("status, duplicates").await, ["processed 1"]);
}

#[tokio::test]
async fn a_released_row_is_due_again_and_its_lease_does_not_count() {
    let store = pending(2).await;
    let mut events = store.lease(10).await;
    let kept = events.pop().unwrap();
    release(&store.pool, &events, Duration::ZERO).await.unwrap();
    let again = store.lease(10).await;
    assert_eq!(ids(&again), ids(&events));
    assert_eq!(again[0].attempts(), events[0].attempts());
    // The earlier lease is over: releasing it again changes nothing.
    release(&store.pool, &events, Duration::ZERO).await.unwrap();
    assert_eq!(store.lease(10).await.len(), 0);
    assert_ne!(kept.event_id, again[0].event_id);
}

#[tokio::test]
async fn a_lease_is_bounded_in_bytes_and_never_empty() {
    let store = pending(5).await;
    let body = "body = convert_to(repeat('x', 1000), 'UTF8')";
    store.set(body).await;
    for (bytes_max, events, left_more) in [
        (2999, 2, true),
        (1, 1, true),
        (2000, 2, false),
        (2000, 0, false),
    ] {
        let bounds = LeaseBounds {
            bytes_max,
            ..LEASE_BOUNDS
        };
        let leased = store.lease_within(bounds).await;
        assert_eq!((leased.events.len(), leased.left_more), (events, left_more));
    }
    assert_eq!(store.ledger("attempts").await, ["2"; 5], "leased once each");
}

#[tokio::test]
async fn rows_whose_lease_ended_without_a_verdict_are_leased_alone() {
    let store = pending(6).await;
    // Two whose worker died at their first attempt, and one that had all its attempts.
    let died = "error = NULL WHERE razorpay_event_id IN ('e01', 'e02')";
    store.set(died).await;
    let exhausted = "attempts = 10 WHERE razorpay_event_id = 'e04'";
    store.set(exhausted).await;
    for expected in ["e00", "e01", "e02", "e03", "e04", "e05"] {
        let leased = store.lease_within(LEASE_BOUNDS).await;
        assert_eq!(ids(&leased.events), [expected]);
        assert_eq!(leased.left_more, expected != "e05");
    }
}

#[tokio::test]
async fn a_settled_row_has_the_name_in_its_body() {
    let store = pending(1).await;
    // As the ingress stores it where it does not trust the name.
    store.set("event_type = 'unknown'").await;
    let mut batch = leased(&store, 1).await;
    batch[0].claimed.event_type = "payment.captured".into();
    store.commit(batch).await;
    assert_eq!(store.ledger("event_type").await, ["payment.captured"]);
}

#[tokio::test]
async fn a_wrong_clock_at_receipt_delays_nothing() {
    let store = Store::migrated().await;
    for (n, millis) in [0, i64::MAX].into_iter().enumerate() {
        let mut record = to_retry(&numbered(n), Duration::ZERO);
        record.claimed.received_at = ReceivedAt::from_millis(millis);
        store.commit(vec![record.clone()]).await;
        let batch = leased(&store, 9).await;
        assert_eq!(store.commit(batch).await.processed, 1);
        assert_eq!(store.commit(vec![record]).await.duplicates, 1);
    }
    let duplicates = store.ledger("status, duplicates").await;
    assert_eq!(duplicates, ["processed 1", "processed 1"]);
}
