//! What becomes of events that are not projected.

use std::time::Duration;

use harkara_storage::ledger::{EventStatus, find};
use harkara_testkit::TestDatabase;

use crate::records::{bodies, claimed, commit, event, payment, to_retry};

#[tokio::test]
async fn a_dead_letter_is_kept_with_its_reason_and_its_neighbours_are_processed() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let wrong = event(
        "wrong",
        r#"{"event":"payment.captured","account_id":"acc_1","payload":{"payment":{"entity":{"id":"pay_9"}}}}"#,
    );
    let (before, after) = (
        bodies.event("refund.created"),
        bodies.event("payment_link.paid"),
    );
    let batch = vec![
        claimed(&before),
        claimed(&wrong),
        claimed(&event("text", "not json")),
        claimed(&after),
    ];
    let outcome = commit(&db.pool(), batch).await.unwrap().outcome();
    assert_eq!(
        (outcome.processed, outcome.failed, outcome.retried),
        (2, 2, 0)
    );

    let dead = &find(&db.pool(), &["wrong".to_owned()]).await.unwrap()[0].row;
    assert_eq!(
        (dead.status, dead.processed, dead.processed_at),
        (EventStatus::Failed, false, None)
    );
    assert_eq!(
        (dead.event_type.as_str(), dead.account_id.as_deref()),
        ("payment.captured", Some("acc_1"))
    );
    assert_eq!(
        dead.error.as_deref(),
        Some("payload.payment.entity.status is missing")
    );
    let text = &find(&db.pool(), &["text".to_owned()]).await.unwrap()[0].row;
    assert_eq!(
        (text.event_type.as_str(), text.status),
        ("unknown", EventStatus::Failed)
    );

    let projected: Vec<String> = db
        .column("SELECT last_event_id FROM payment_transactions ORDER BY 1")
        .await;
    let mut expected = [before.event_id, after.event_id];
    expected.sort();
    assert_eq!(projected, expected);
}

#[tokio::test]
async fn an_event_to_retry_is_pending_with_its_time_and_takes_no_effect_yet() {
    let db = TestDatabase::migrated().await;
    let (good, unlucky) = (
        payment("good", "pay_1", "captured", 10),
        payment("unlucky", "pay_2", "captured", 10),
    );
    let batch = vec![to_retry(&unlucky, Duration::from_secs(90)), claimed(&good)];
    let outcome = commit(&db.pool(), batch).await.unwrap().outcome();
    assert_eq!(
        (outcome.processed, outcome.failed, outcome.retried),
        (1, 0, 1)
    );

    let row = &find(&db.pool(), &["unlucky".to_owned()]).await.unwrap()[0].row;
    assert_eq!(
        (row.status, row.processed, row.attempts),
        (EventStatus::Pending, false, 1)
    );
    assert_eq!(row.error.as_deref(), Some("out of luck"));
    let wait = (row.next_attempt_at.unwrap() - chrono::Utc::now()).num_seconds();
    assert!((80..=90).contains(&wait), "{wait}");
    let payments: Vec<String> = db
        .column("SELECT payment_id FROM payment_transactions")
        .await;
    assert_eq!(payments, ["pay_1"]);
    let audited: Vec<String> = db.column("SELECT entity_id FROM audit_logs").await;
    assert_eq!(audited, ["pay_1"]);
}

#[tokio::test]
async fn a_wait_of_any_length_can_be_stored() {
    let db = TestDatabase::migrated().await;
    let batch = vec![to_retry(
        &payment("evt", "pay_1", "captured", 10),
        Duration::from_hours(24 * 365),
    )];
    assert_eq!(
        commit(&db.pool(), batch).await.unwrap().outcome().retried,
        1
    );
}
