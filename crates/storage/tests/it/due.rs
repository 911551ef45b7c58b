//! Leasing pending events and settling them.

use std::collections::BTreeSet;
use std::time::Duration;

use harkara_core::time::ReceivedAt;
use harkara_storage::Pool;
use harkara_storage::commit::Outcome;
use harkara_storage::ledger::{LeaseBounds, lease_due, release};
use harkara_storage::record::{ClaimedEvent, EventRecord, Origin, Verdict};
use harkara_testkit::TestDatabase;

use crate::records::{LEASE_BOUNDS, commit, leased, payment, to_retry};

/// Stores pending events `e00`, `e01`, …, the first due the longest.
async fn pending(db: &TestDatabase, count: usize) {
    let batch = (0..count)
        .map(|n| {
            to_retry(
                &payment(&format!("e{n:02}"), &format!("pay_{n}"), "captured", 10),
                Duration::ZERO,
            )
        })
        .collect();
    assert_eq!(
        commit(&db.pool(), batch).await.unwrap().outcome().retried,
        count
    );
    db.execute(
        "UPDATE webhook_events SET next_attempt_at = now() - interval '1 hour' + \
           substr(razorpay_event_id, 2)::int * interval '1 second'",
    )
    .await;
}

async fn leases(pool: &Pool, rows_max: usize) -> Vec<ClaimedEvent> {
    let bounds = LeaseBounds {
        rows_max,
        ..LEASE_BOUNDS
    };
    lease_due(pool, &bounds).await.unwrap().events
}

fn ids(events: &[ClaimedEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_id.as_str()).collect()
}

#[tokio::test]
async fn only_due_rows_are_leased_oldest_first_and_each_once() {
    let db = TestDatabase::migrated().await;
    pending(&db, 7).await;
    db.execute("UPDATE webhook_events SET next_attempt_at = now() + interval '1 hour' WHERE razorpay_event_id = 'e01'").await;
    db.execute(
        "UPDATE webhook_events SET next_attempt_at = now() - interval '1 day' WHERE razorpay_event_id = 'e05'; \
         UPDATE webhook_events SET status = 'failed', next_attempt_at = NULL WHERE razorpay_event_id = 'e03'",
    )
    .await;
    let pool = db.pool();
    assert_eq!(ids(&leases(&pool, 3).await), ["e05", "e00", "e02"]);
    assert_eq!(ids(&leases(&pool, 9).await), ["e04", "e06"]);
    assert!(leases(&pool, 9).await.is_empty());
    let attempts: Vec<i32> = db
        .column("SELECT attempts FROM webhook_events ORDER BY razorpay_event_id")
        .await;
    assert_eq!(attempts, [2, 1, 2, 1, 2, 2, 2]);
}

#[tokio::test]
async fn a_leased_event_is_the_one_that_was_delivered() {
    let db = TestDatabase::migrated().await;
    let event = payment("evt", "pay_1", "captured", 10);
    let mut record = to_retry(&event, Duration::ZERO);
    record.claimed.trace.tracestate = "vendor=1".to_owned();
    record.claimed.endpoint = "live".into();
    commit(&db.pool(), vec![record.clone()])
        .await
        .map(drop)
        .unwrap();
    let leased = leases(&db.pool(), 1).await.remove(0);
    assert_eq!(leased.event_id, record.claimed.event_id);
    assert_eq!(
        (leased.event_type, leased.endpoint, leased.lane),
        (
            record.claimed.event_type,
            record.claimed.endpoint,
            record.claimed.lane
        )
    );
    assert_eq!(
        (leased.signature, leased.trace, leased.received_at),
        (
            record.claimed.signature,
            record.claimed.trace,
            record.claimed.received_at
        )
    );
    assert_eq!(
        (&leased.body, leased.body_sha256),
        (&record.claimed.body, record.claimed.body_sha256)
    );
    let Origin::Ledger {
        created_at_micros,
        leased_until_micros,
        attempts,
        ..
    } = leased.origin
    else {
        panic!("{:?}", leased.origin)
    };
    assert_eq!(
        created_at_micros,
        record.claimed.received_at.millis() * 1000
    );
    assert_eq!(attempts, 2);
    assert!(leased_until_micros > chrono::Utc::now().timestamp_micros());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_leasing_at_once_never_get_the_same_row() {
    let db = TestDatabase::migrated().await;
    pending(&db, 60).await;
    let pool = db.pool();
    let leasers: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                loop {
                    let more = leases(&pool, 3).await;
                    if more.is_empty() {
                        return got;
                    }
                    got.extend(more.into_iter().map(|event| event.event_id.to_string()));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for leaser in leasers {
        all.extend(leaser.await.unwrap());
    }
    let mut left = leases(&pool, 60)
        .await
        .into_iter()
        .map(|event| event.event_id.to_string())
        .collect();
    all.append(&mut left);
    assert_eq!(all.len(), 60);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 60);
}

#[tokio::test]
async fn a_row_that_another_leaser_holds_is_passed_over() {
    let db = TestDatabase::migrated().await;
    pending(&db, 3).await;
    db.execute("BEGIN; SELECT 1 FROM webhook_events WHERE razorpay_event_id = 'e01' FOR UPDATE")
        .await;
    assert_eq!(ids(&leases(&db.pool(), 9).await), ["e00", "e02"]);
    db.execute("ROLLBACK").await;
    assert_eq!(ids(&leases(&db.pool(), 9).await), ["e01"]);
}

#[tokio::test]
async fn a_leased_event_is_processed_once_and_a_repetition_changes_nothing() {
    let db = TestDatabase::migrated().await;
    pending(&db, 2).await;
    let pool = db.pool();
    let batch: Vec<EventRecord> = leases(&pool, 9).await.into_iter().map(leased).collect();
    let committed = commit(&pool, batch.clone()).await.unwrap();
    assert_eq!(
        (
            committed.outcome().processed,
            committed.outcome().applied.changed
        ),
        (2, 2)
    );
    assert!(committed.entries().is_empty());
    let rows = "SELECT razorpay_event_id, status, processed_at, error, next_attempt_at FROM webhook_events";
    let before = db.rows(rows).await;
    let again = commit(&pool, batch).await.unwrap().outcome();
    assert_eq!(
        again,
        Outcome {
            superseded: 2,
            ..Outcome::default()
        }
    );
    assert_eq!(db.rows(rows).await, before);
    let settled: i64 = db
        .value("SELECT count(*) FROM webhook_events WHERE processed AND processed_at IS NOT NULL AND error IS NULL")
        .await;
    assert_eq!(settled, 2);
    let audited: i64 = db.value("SELECT count(*) FROM audit_logs").await;
    assert_eq!(audited, 2);
}

#[tokio::test]
async fn a_lease_that_ended_comes_due_again_and_its_late_commit_changes_nothing() {
    let db = TestDatabase::migrated().await;
    pending(&db, 1).await;
    let pool = db.pool();
    let at_once = LeaseBounds {
        lease: Duration::ZERO,
        ..LEASE_BOUNDS
    };
    let first = lease_due(&pool, &at_once).await.unwrap().events.remove(0);
    let second = leases(&pool, 1).await.remove(0);
    assert_eq!((first.attempts(), second.attempts()), (2, 3));

    let late = commit(&pool, vec![leased(first)]).await.unwrap().outcome();
    assert_eq!(
        late,
        Outcome {
            superseded: 1,
            ..Outcome::default()
        }
    );
    let payments: i64 = db.value("SELECT count(*) FROM payment_transactions").await;
    assert_eq!(payments, 0);
    assert_eq!(
        commit(&pool, vec![leased(second)])
            .await
            .unwrap()
            .outcome()
            .processed,
        1
    );
}

#[tokio::test]
async fn a_leased_event_can_be_retried_again_or_given_up() {
    let db = TestDatabase::migrated().await;
    pending(&db, 2).await;
    let pool = db.pool();
    let batch = leases(&pool, 2)
        .await
        .into_iter()
        .map(leased)
        .zip([
            Verdict::Retry {
                error: "again".to_owned(),
                after: Duration::from_mins(1),
            },
            Verdict::Fail {
                error: "enough".to_owned(),
            },
        ])
        .map(|(record, verdict)| EventRecord { verdict, ..record })
        .collect();
    let outcome = commit(&pool, batch).await.unwrap().outcome();
    assert_eq!(
        (outcome.retried, outcome.failed, outcome.processed),
        (1, 1, 0)
    );
    let rows: Vec<String> = db
        .column(
            "SELECT concat_ws(' ', status, error, attempts, next_attempt_at > now()) FROM webhook_events ORDER BY razorpay_event_id",
        )
        .await;
    assert_eq!(rows, ["pending again 2 t", "failed enough 2"]);
    assert!(leases(&pool, 9).await.is_empty(), "failed stays failed");
}

#[tokio::test]
async fn a_delivery_that_comes_again_while_its_event_is_leased_is_a_duplicate() {
    let db = TestDatabase::migrated().await;
    pending(&db, 1).await;
    let pool = db.pool();
    let lease = leases(&pool, 1).await.remove(0);
    let again = crate::records::claimed(&payment("e00", "pay_0", "captured", 10));
    // Both sources in one batch.
    let outcome = commit(&pool, vec![again, leased(lease)])
        .await
        .unwrap()
        .outcome();
    assert_eq!((outcome.processed, outcome.duplicates), (1, 1));
    let row: String = db
        .value("SELECT concat_ws(' ', status, duplicates) FROM webhook_events")
        .await;
    assert_eq!(row, "processed 1");
}

#[tokio::test]
async fn a_released_row_comes_due_again_and_its_lease_does_not_count() {
    let db = TestDatabase::migrated().await;
    pending(&db, 2).await;
    let pool = db.pool();
    let mut events = leases(&pool, 10).await;
    let kept = events.pop().unwrap();
    release(&pool, &events, Duration::ZERO).await.unwrap();
    let again = leases(&pool, 10).await;
    assert_eq!(ids(&again), ids(&events));
    assert_eq!(again[0].attempts(), events[0].attempts());
    // The earlier lease is over: releasing it again, or settling under it, changes nothing.
    release(&pool, &events, Duration::ZERO).await.unwrap();
    assert_eq!(leases(&pool, 10).await.len(), 0);
    assert_ne!(kept.event_id, again[0].event_id);
}

#[tokio::test]
async fn a_lease_is_bounded_in_bytes_and_never_empty() {
    let db = TestDatabase::migrated().await;
    pending(&db, 5).await;
    db.execute("UPDATE webhook_events SET body = convert_to(repeat('x', 1000), 'UTF8')")
        .await;
    let pool = db.pool();
    let of_bytes = async |bytes_max| {
        let bounds = LeaseBounds {
            bytes_max,
            ..LEASE_BOUNDS
        };
        let leased = lease_due(&pool, &bounds).await.unwrap();
        (leased.events.len(), leased.left_more)
    };
    assert_eq!(of_bytes(2999).await, (2, true));
    assert_eq!(of_bytes(1).await, (1, true));
    assert_eq!(of_bytes(2000).await, (2, false));
    assert_eq!(of_bytes(2000).await, (0, false));
    let attempts: i64 = db
        .value("SELECT count(*) FROM webhook_events WHERE attempts = 2")
        .await;
    assert_eq!(attempts, 5, "each was leased once");
}

#[tokio::test]
async fn rows_whose_lease_ended_without_a_verdict_are_leased_alone() {
    let db = TestDatabase::migrated().await;
    pending(&db, 6).await;
    // Two that a worker died with at their first attempt, and one that had all its attempts.
    db.execute(
        "UPDATE webhook_events SET error = NULL WHERE razorpay_event_id IN ('e01', 'e02'); \
         UPDATE webhook_events SET attempts = 10 WHERE razorpay_event_id = 'e04'",
    )
    .await;
    let pool = db.pool();
    for (expected, left_more) in [
        (vec!["e00"], true),
        (vec!["e01"], true),
        (vec!["e02"], true),
        (vec!["e03"], true),
        (vec!["e04"], true),
        (vec!["e05"], false),
    ] {
        let leased = lease_due(&pool, &LEASE_BOUNDS).await.unwrap();
        assert_eq!(ids(&leased.events), expected);
        assert_eq!(leased.left_more, left_more);
    }
}

#[tokio::test]
async fn a_settled_row_has_the_name_that_its_body_has() {
    let db = TestDatabase::migrated().await;
    pending(&db, 1).await;
    // As the ingress stores it where it does not trust the name.
    db.execute("UPDATE webhook_events SET event_type = 'unknown'")
        .await;
    let pool = db.pool();
    let mut record = leased(leases(&pool, 1).await.remove(0));
    record.claimed.event_type = "payment.captured".into();
    commit(&pool, vec![record]).await.map(drop).unwrap();
    let named: String = db.value("SELECT event_type FROM webhook_events").await;
    assert_eq!(named, "payment.captured");
}

#[tokio::test]
async fn a_receipt_time_by_a_clock_that_is_wrong_delays_nothing() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    for (n, millis) in [0, i64::MAX].into_iter().enumerate() {
        let event = payment(&format!("e{n}"), &format!("pay_{n}"), "captured", 10);
        let mut record = to_retry(&event, Duration::ZERO);
        record.claimed.received_at = ReceivedAt::from_millis(millis);
        let again = record.clone();
        commit(&pool, vec![record]).await.map(drop).unwrap();
        let batch: Vec<EventRecord> = leases(&pool, 9).await.into_iter().map(leased).collect();
        let outcome = commit(&pool, batch).await.unwrap().outcome();
        assert_eq!(outcome.processed, 1);
        assert_eq!(
            commit(&pool, vec![again])
                .await
                .unwrap()
                .outcome()
                .duplicates,
            1
        );
    }
    let counted: i64 = db
        .value("SELECT sum(duplicates) FROM webhook_events WHERE processed")
        .await;
    assert_eq!(counted, 2);
}
