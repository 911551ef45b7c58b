//! The rows of events that are not projected.

use std::time::Duration;

use harkara_storage::ledger::{EventRow, EventStatus, find};

use crate::records::{bodies, claimed, event, payment, to_retry};
use crate::store::{Store, settled};

async fn row(store: &Store, event_id: &str) -> EventRow {
    find(&store.pool, &[event_id.to_owned()])
        .await
        .unwrap()
        .remove(0)
        .row
}

#[tokio::test]
async fn a_dead_letter_is_kept_with_its_error_and_its_neighbours_are_processed() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let wrong = event(
        "wrong",
        r#"{"event":"payment.captured","account_id":"acc_1","payload":{"payment":{"entity":{"id":"pay_9"}}}}"#,
    );
    let [before, after] = ["refund.created", "payment_link.paid"].map(|name| bodies.event(name));
    let text = event("text", "not json");
    let outcome = store.deliver([&before, &wrong, &text, &after]).await;
    assert_eq!(settled(outcome), (2, 2, 0));

    let dead = row(&store, "wrong").await;
    assert_eq!(dead.status, EventStatus::Failed);
    assert_eq!((dead.processed, dead.processed_at), (false, None));
    assert_eq!(dead.event_type, "payment.captured");
    assert_eq!(dead.account_id.as_deref(), Some("acc_1"));
    let error = "payload.payment.entity.status is missing";
    assert_eq!(dead.error.as_deref(), Some(error));
    let text = row(&store, "text").await;
    assert_eq!(text.event_type, "unknown");
    assert_eq!(text.status, EventStatus::Failed);

    let projected: Vec<String> = store
        .column("SELECT last_event_id FROM payment_transactions ORDER BY 1")
        .await;
    let mut expected = [before.event_id, after.event_id];
    expected.sort();
    assert_eq!(projected, expected);
}

#[tokio::test]
async fn an_event_to_retry_is_pending_and_has_no_effect_yet() {
    let store = Store::migrated().await;
    let [good, unlucky] = [("good", "pay_1"), ("unlucky", "pay_2")]
        .map(|(event_id, payment_id)| payment(event_id, payment_id, "captured", 10));
    let batch = vec![to_retry(&unlucky, Duration::from_secs(90)), claimed(&good)];
    assert_eq!(settled(store.commit(batch).await), (1, 0, 1));

    let row = row(&store, "unlucky").await;
    assert_eq!((row.status, row.processed), (EventStatus::Pending, false));
    assert_eq!(
        (row.attempts, row.error.as_deref()),
        (1, Some("out of luck"))
    );
    let wait = (row.next_attempt_at.unwrap() - chrono::Utc::now()).num_seconds();
    assert!((80..=90).contains(&wait), "{wait}");
    for query in [
        "SELECT payment_id FROM payment_transactions",
        "SELECT entity_id FROM audit_logs",
    ] {
        assert_eq!(store.column::<String>(query).await, ["pay_1"]);
    }
}

#[tokio::test]
async fn a_wait_of_any_length_can_be_stored() {
    let store = Store::migrated().await;
    let event = payment("evt", "pay_1", "captured", 10);
    let batch = vec![to_retry(&event, Duration::from_hours(24 * 365))];
    assert_eq!(store.commit(batch).await.retried, 1);
}
