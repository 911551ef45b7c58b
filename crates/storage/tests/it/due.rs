//! Leasing due events and settling them.

use std::collections::BTreeSet;
use std::time::Duration;

use harkara_core::time::ReceivedAt;
use harkara_storage::commit::Outcome;
use harkara_storage::ledger::{LeaseBounds, lease_due, release};
use harkara_storage::record::{ClaimedEvent, EventRecord, Origin, Verdict};

use crate::records::{LEASE_BOUNDS, claimed, numbered, payment, retries, to_retry, with_verdict};
use crate::store::{Store, commit};

/// Stores pending events `e00`, `e01`, …, the first due the longest.
async fn pending(count: usize) -> Store {
    let store = Store::migrated().await;
    assert_eq!(store.commit(retries(count)).await.retried, count);
    store
        .execute(
            "UPDATE webhook_events SET next_attempt_at = now() - interval '1 hour' + \
               substr(razorpay_event_id, 2)::int * interval '1 second'",
        )
        .await;
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
    store
        .execute(
            "UPDATE webhook_events SET next_attempt_at = now() + interval '1 hour' WHERE razorpay_event_id = 'e01'; \
             UPDATE webhook_events SET next_attempt_at = now() - interval '1 day' WHERE razorpay_event_id = 'e05'; \
             UPDATE webhook_events SET status = 'failed', next_attempt_at = NULL WHERE razorpay_event_id = 'e03'",
        )
        .await;
    assert_eq!(ids(&store.lease(3).await), ["e05", "e00", "e02"]);
    assert_eq!(ids(&store.lease(9).await), ["e04", "e06"]);
    assert!(store.lease(9).await.is_empty());
    let attempts: Vec<i32> = store
        .column("SELECT attempts FROM webhook_events ORDER BY razorpay_event_id")
        .await;
    assert_eq!(attempts, [2, 1, 2, 1, 2, 2, 2]);
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
    let leasers: Vec<_> = (0..4)
        .map(|_| {
            let pool = store.pool.clone();
            let bounds = LeaseBounds {
                rows_max: 3,
                ..LEASE_BOUNDS
            };
            tokio::spawn(async move {
                let mut got = Vec::new();
                loop {
                    let more = lease_due(&pool, &bounds).await.unwrap().events;
                    if more.is_empty() {
                        return got;
                    }
                    got.extend(more);
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for leaser in leasers {
        all.extend(leaser.await.unwrap());
    }
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
    let first = lease_due(&store.pool, &expired)
        .await
        .unwrap()
        .events
        .remove(0);
    let second = store.lease(1).await.remove(0);
    assert_eq!((first.attempts(), second.attempts()), (2, 3));

    assert_eq!(
        store.commit(vec![with_verdict(first)]).await,
        only_superseded(1)
    );
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
    let outcome = store.commit(batch.collect()).await;
    assert_eq!(
        (outcome.retried, outcome.failed, outcome.processed),
        (1, 1, 0)
    );
    let rows: Vec<String> = store
        .column(
            "SELECT concat_ws(' ', status, error, attempts, next_attempt_at > now()) FROM webhook_events ORDER BY razorpay_event_id",
        )
        .await;
    assert_eq!(rows, ["pending again 2 t", "failed enough 2"]);
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
    let row: String = store
        .value("SELECT concat_ws(' ', status, duplicates) FROM webhook_events")
        .await;
    assert_eq!(row, "processed 1");
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
    // The earlier lease is over: releasing it again, or settling under it, changes nothing.
    release(&store.pool, &events, Duration::ZERO).await.unwrap();
    assert_eq!(store.lease(10).await.len(), 0);
    assert_ne!(kept.event_id, again[0].event_id);
}

#[tokio::test]
async fn a_lease_is_bounded_in_bytes_and_never_empty() {
    let store = pending(5).await;
    store
        .execute("UPDATE webhook_events SET body = convert_to(repeat('x', 1000), 'UTF8')")
        .await;
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
        let leased = lease_due(&store.pool, &bounds).await.unwrap();
        assert_eq!((leased.events.len(), leased.left_more), (events, left_more));
    }
    assert_eq!(
        store.count("webhook_events WHERE attempts = 2").await,
        5,
        "each was leased once"
    );
}

#[tokio::test]
async fn rows_whose_lease_ended_without_a_verdict_are_leased_alone() {
    let store = pending(6).await;
    // Two whose worker died at their first attempt, and one that had all its attempts.
    store
        .execute(
            "UPDATE webhook_events SET error = NULL WHERE razorpay_event_id IN ('e01', 'e02'); \
             UPDATE webhook_events SET attempts = 10 WHERE razorpay_event_id = 'e04'",
        )
        .await;
    for expected in ["e00", "e01", "e02", "e03", "e04", "e05"] {
        let leased = lease_due(&store.pool, &LEASE_BOUNDS).await.unwrap();
        assert_eq!(ids(&leased.events), [expected]);
        assert_eq!(leased.left_more, expected != "e05");
    }
}

#[tokio::test]
async fn a_settled_row_has_the_name_in_its_body() {
    let store = pending(1).await;
    // As the ingress stores it where it does not trust the name.
    store
        .execute("UPDATE webhook_events SET event_type = 'unknown'")
        .await;
    let mut batch = leased(&store, 1).await;
    batch[0].claimed.event_type = "payment.captured".into();
    store.commit(batch).await;
    let named: String = store.value("SELECT event_type FROM webhook_events").await;
    assert_eq!(named, "payment.captured");
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
    let counted: i64 = store
        .value("SELECT sum(duplicates) FROM webhook_events WHERE processed")
        .await;
    assert_eq!(counted, 2);
}
