//! Putting events back to pending.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use harkara_storage::commit::Applied;
use harkara_storage::ledger::{
    BEGINNING, END, EventStatus, ReplayCount, ReplayTarget, Stretch, Walk, count_replayable,
    replay, stretch,
};

use crate::records::{claimed, claimed_ago, event, payment, to_retry, with_verdict};
use crate::store::{Store, settled};

/// `done` (processed), `old` (processed, received yesterday), `dead` and `text` (failed), `waiting`.
async fn ledger() -> Store {
    let store = Store::migrated().await;
    let batch = vec![
        claimed_ago(&payment("old", "pay_1", "failed", 10), 86_400),
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
    assert_eq!(settled(store.commit(batch).await), (2, 2, 1));
    store
}

/// All rows of the ledger since a time.
async fn since(store: &Store, since: DateTime<Utc>) -> Stretch {
    let found = stretch(&store.pool, &Walk::Events, since, END, 100).await;
    found.unwrap().unwrap()
}

/// Replays a target and checks the rows, their audit, and the count made before.
async fn check(
    target: impl AsyncFnOnce(&Store) -> ReplayTarget<'static>,
    replayed: &[&str],
    already_pending: u64,
) {
    let store = ledger().await;
    let selection = target(&store).await;
    let before = store.tables(&["webhook_events"]).await;
    let count = count_replayable(&store.pool, &selection).await.unwrap();
    let replayable = replayed.len() as u64;
    let expected = ReplayCount {
        replayable,
        already_pending,
    };
    assert_eq!(count, expected, "{selection:?}");
    let after = store.tables(&["webhook_events"]).await;
    assert_eq!(after, before, "counting changes nothing");

    let n_replayed = replay(&store.pool, &selection, "operator:asha")
        .await
        .unwrap();
    assert_eq!(n_replayed, replayable);
    let due: Vec<String> = store
        .column("SELECT razorpay_event_id || ' ' || attempts FROM webhook_events WHERE next_attempt_at <= now() ORDER BY 1")
        .await;
    let audited: Vec<String> = store
        .column(
            "SELECT concat_ws(' ', actor, entity_type, razorpay_event_id, from_status, to_status) FROM audit_logs \
             WHERE action = 'replay' ORDER BY razorpay_event_id",
        )
        .await;
    let status = |id: &str| match id {
        "dead" | "text" => "failed",
        _ => "processed",
    };
    let expected = replayed.iter().map(|id| format!("{id} 0"));
    assert_eq!(due, expected.collect::<Vec<_>>());
    let expected = replayed
        .iter()
        .map(|id| format!("operator:asha event {id} {} pending", status(id)));
    assert_eq!(audited, expected.collect::<Vec<_>>());
    let rows = store.ledger("status, attempts, error").await;
    assert_eq!(rows.last().unwrap(), "pending 1 out of luck");
}

#[tokio::test]
async fn the_selected_events_are_replayed_and_pending_ones_left_alone() {
    let target = |status, event_type, from| {
        async move |store: &Store| ReplayTarget::Stretch {
            stretch: since(store, from).await,
            status,
            event_type,
        }
    };
    let hour_ago = Utc::now() - TimeDelta::hours(1);
    let (failed, processed) = (EventStatus::Failed, EventStatus::Processed);
    check(async |_| ReplayTarget::Event("dead"), &["dead"], 0).await;
    check(async |_| ReplayTarget::Event("waiting"), &[], 1).await;
    check(target(failed, None, BEGINNING), &["dead", "text"], 0).await;
    check(
        target(failed, Some("payment.captured"), BEGINNING),
        &["dead"],
        0,
    )
    .await;
    check(target(processed, None, BEGINNING), &["done", "old"], 0).await;
    check(target(processed, None, hour_ago), &["done"], 0).await;
}

#[tokio::test]
async fn a_replayed_event_is_processed_like_others_and_has_no_second_effect() {
    let store = ledger().await;
    let before = store.tables(&["payment_transactions"]).await;
    let changes = "audit_logs WHERE action = 'status_changed'";
    let n_changes = store.count(changes).await;
    let processed = ReplayTarget::Stretch {
        stretch: since(&store, BEGINNING).await,
        status: EventStatus::Processed,
        event_type: None,
    };
    replay(&store.pool, &processed, "operator:asha")
        .await
        .unwrap();
    let batch: Vec<_> = store.lease(9).await.into_iter().map(with_verdict).collect();
    assert_eq!(batch.len(), 2);
    let outcome = store.commit(batch).await;
    let Applied { changed, unchanged } = outcome.applied;
    assert_eq!((outcome.processed, changed, unchanged), (2, 0, 1));
    assert_eq!(store.tables(&["payment_transactions"]).await, before);
    assert_eq!(store.count(changes).await, n_changes);
    let statuses: Vec<String> = store
        .column("SELECT razorpay_event_id || ' ' || status || ' ' || attempts FROM webhook_events WHERE processed ORDER BY 1")
        .await;
    assert_eq!(statuses, ["done processed 1", "old processed 1"]);
}
