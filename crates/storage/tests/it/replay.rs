//! Putting events back to pending.

use std::time::Duration;

use harkara_storage::Pool;
use harkara_storage::ledger::{
    EventStatus, ReplayCount, ReplaySelection, count_replayable, lease_due, replay,
};
use harkara_storage::record::EventRecord;
use harkara_testkit::TestDatabase;

use crate::records::{LEASE_BOUNDS, claimed, commit, event, leased, payment, to_retry};

/// `done` (processed), `old` (processed, received yesterday), `dead` and `text` (failed), `waiting`.
async fn ledger(pool: &Pool) {
    let mut old = claimed(&payment("old", "pay_1", "failed", 10));
    old.claimed.received_at =
        harkara_core::time::ReceivedAt::from_millis(old.claimed.received_at.millis() - 86_400_000);
    let batch = vec![
        old,
        claimed(&payment("done", "pay_1", "captured", 20)),
        claimed(&event(
            "dead",
            r#"{"event":"payment.captured","payload":{}}"#,
        )),
        claimed(&event("text", "not json")),
        to_retry(
            &payment("waiting", "pay_2", "captured", 20),
            Duration::from_hours(1),
        ),
    ];
    let outcome = commit(pool, batch).await.unwrap().outcome();
    assert_eq!(
        (outcome.processed, outcome.failed, outcome.retried),
        (2, 2, 1)
    );
}

/// Replays a selection, after the count foretold it; gives the events that are due then.
async fn replayed(selection: ReplaySelection, expected: ReplayCount) -> Vec<String> {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    ledger(&pool).await;
    let rows = "SELECT * FROM webhook_events ORDER BY razorpay_event_id";
    let before = db.rows(rows).await;
    assert_eq!(count_replayable(&pool, &selection).await.unwrap(), expected);
    assert_eq!(db.rows(rows).await, before, "counting changes nothing");

    assert_eq!(
        replay(&pool, &selection, "operator:asha").await.unwrap(),
        expected.replayable
    );
    let audited: Vec<String> = db
        .column(
            "SELECT concat_ws(' ', actor, entity_type, razorpay_event_id, from_status, to_status) FROM audit_logs \
             WHERE action = 'replay' ORDER BY razorpay_event_id",
        )
        .await;
    let status = |id: &str| {
        if ["dead", "text"].contains(&id) {
            "failed"
        } else {
            "processed"
        }
    };
    let due: Vec<String> =
        db.column("SELECT razorpay_event_id FROM webhook_events WHERE next_attempt_at <= now() ORDER BY 1").await;
    let foretold: Vec<String> = due
        .iter()
        .map(|id| format!("operator:asha event {id} {} pending", status(id)))
        .collect();
    assert_eq!(audited, foretold);
    let attempts: Vec<i32> = db
        .column("SELECT attempts FROM webhook_events WHERE next_attempt_at <= now()")
        .await;
    assert!(
        attempts.iter().all(|attempts| *attempts == 0),
        "{attempts:?}"
    );
    let waiting: String =
        db.value("SELECT concat_ws(' ', status, attempts, error) FROM webhook_events WHERE razorpay_event_id = 'waiting'").await;
    assert_eq!(waiting, "pending 1 out of luck");
    due
}

const fn count(replayable: u64, already_pending: u64) -> ReplayCount {
    ReplayCount {
        replayable,
        already_pending,
    }
}

#[tokio::test]
async fn one_event_is_replayed() {
    let selection = ReplaySelection {
        event_id: Some("dead".to_owned()),
        ..ReplaySelection::default()
    };
    assert_eq!(replayed(selection, count(1, 0)).await, ["dead"]);
}

#[tokio::test]
async fn dead_letters_are_replayed() {
    let selection = ReplaySelection {
        status: Some(EventStatus::Failed),
        ..ReplaySelection::default()
    };
    assert_eq!(replayed(selection, count(2, 0)).await, ["dead", "text"]);
}

#[tokio::test]
async fn events_of_one_name_are_replayed_and_a_pending_one_is_left_alone() {
    let selection = ReplaySelection {
        event_type: Some("payment.captured".to_owned()),
        ..ReplaySelection::default()
    };
    assert_eq!(replayed(selection, count(2, 1)).await, ["dead", "done"]);
}

#[tokio::test]
async fn events_since_a_time_are_replayed() {
    let since = Some(chrono::Utc::now() - chrono::Duration::hours(1));
    let selection = ReplaySelection {
        since,
        status: Some(EventStatus::Processed),
        ..ReplaySelection::default()
    };
    assert_eq!(replayed(selection, count(1, 0)).await, ["done"]);
}

#[tokio::test]
async fn a_pending_event_is_left_alone() {
    let selection = ReplaySelection {
        event_id: Some("waiting".to_owned()),
        ..ReplaySelection::default()
    };
    assert_eq!(replayed(selection, count(0, 1)).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_replayed_event_goes_the_ordinary_road_and_takes_no_second_effect() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    ledger(&pool).await;
    let merged = "SELECT * FROM payment_transactions ORDER BY payment_id";
    let (before, audited) = (
        db.rows(merged).await,
        "SELECT count(*) FROM audit_logs WHERE action = 'status_changed'",
    );
    let changes: i64 = db.value(audited).await;
    replay(
        &pool,
        &ReplaySelection {
            status: Some(EventStatus::Processed),
            ..ReplaySelection::default()
        },
        "operator:asha",
    )
    .await
    .unwrap();
    let batch: Vec<EventRecord> = lease_due(&pool, &LEASE_BOUNDS)
        .await
        .unwrap()
        .events
        .into_iter()
        .map(leased)
        .collect();
    assert_eq!(batch.len(), 2);
    let outcome = commit(&pool, batch).await.unwrap().outcome();
    assert_eq!(
        (
            outcome.processed,
            outcome.applied.changed,
            outcome.applied.unchanged
        ),
        (2, 0, 1)
    );
    assert_eq!(db.rows(merged).await, before);
    assert_eq!(db.value::<i64>(audited).await, changes);
    let statuses: Vec<String> =
        db.column("SELECT razorpay_event_id || ' ' || status || ' ' || attempts FROM webhook_events WHERE processed ORDER BY 1").await;
    assert_eq!(statuses, ["done processed 1", "old processed 1"]);
}
