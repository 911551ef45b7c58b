//! One audit row for each change of an entity's status.

use futures_util::future::join_all;
use harkara_simulator::{Bodies, SimulatedEvent};

use crate::records::{NOW, event, payment};
use crate::store::Store;

/// The audit of one entity, oldest first, as `from>to by event`.
async fn changes_of(store: &Store, entity_id: &str) -> Vec<String> {
    let query = format!(
        "SELECT coalesce(from_status, '-') || '>' || coalesce(to_status, '-') || ' by ' || razorpay_event_id \
         FROM audit_logs WHERE entity_id = '{entity_id}' AND action = 'status_changed' AND actor = 'worker' ORDER BY at"
    );
    store.column(&query).await
}

/// An entity without a table and ranks of its own: time alone decides.
fn moon(event_id: &str, at: i64, status: &str) -> SimulatedEvent {
    let body = format!(
        r#"{{"event":"moon.landed","created_at":{at},"payload":{{"moon":{{"entity":{{"id":"m1","status":{status}}}}}}}}}"#
    );
    event(event_id, &body)
}

#[tokio::test]
async fn each_change_of_status_is_written_with_its_event() {
    let store = Store::migrated().await;
    for (id, status, at) in [
        ("e1", "failed", 10),
        ("e2", "authorized", 20),
        ("e3", "captured", 30),
    ] {
        store.deliver([&payment(id, "pay_1", status, at)]).await;
    }
    let expected = [
        "->failed by e1",
        "failed>authorized by e2",
        "authorized>captured by e3",
    ];
    assert_eq!(changes_of(&store, "pay_1").await, expected);
    let entity_types: Vec<String> = store
        .column("SELECT DISTINCT entity_type FROM audit_logs")
        .await;
    assert_eq!(entity_types, ["payment"]);
}

#[tokio::test]
async fn late_events_and_duplicates_are_no_change() {
    let store = Store::migrated().await;
    let captured = payment("e3", "pay_1", "captured", 30);
    store.deliver([&captured]).await;
    let earlier = payment("e1", "pay_1", "failed", 10);
    let late = store.deliver([&earlier, &captured]).await.applied;
    assert_eq!((late.changed, late.unchanged), (0, 1));
    let same_status = payment("e4", "pay_1", "captured", 40);
    let newer = store.deliver([&same_status]).await.applied;
    assert_eq!((newer.changed, newer.unchanged), (1, 0));
    assert_eq!(changes_of(&store, "pay_1").await, ["->captured by e3"]);
}

#[tokio::test]
async fn growth_without_a_change_of_status_is_no_change() {
    let store = Store::migrated().await;
    for (id, at, amount) in [("e2", 20, 0), ("e1", 10, 100)] {
        let body = format!(
            r#"{{"event":"payment.captured","created_at":{at},"payload":{{"payment":{{"entity":{{"id":"pay_1",
            "status":"captured","amount_refunded":{amount}}}}}}}}}"#
        );
        store.deliver([&event(id, &body)]).await;
    }
    assert_eq!(changes_of(&store, "pay_1").await, ["->captured by e2"]);
}

#[tokio::test]
async fn changes_within_one_batch_are_one_change() {
    let store = Store::migrated().await;
    let events = [
        payment("e1", "pay_1", "failed", 10),
        payment("e2", "pay_1", "captured", 20),
    ];
    store.deliver(&events).await;
    assert_eq!(changes_of(&store, "pay_1").await, ["->captured by e2"]);
}

#[tokio::test]
async fn changes_of_a_downtime_are_written_although_its_table_is_a_history() {
    let store = Store::migrated().await;
    let lifecycle = Bodies::new(5, NOW).downtime_lifecycle();
    for event in &lifecycle {
        store.deliver([event]).await;
    }
    let id: String = store.value("SELECT downtime_id FROM downtimes").await;
    let expected = ["->started", "started>updated", "updated>resolved"]
        .into_iter()
        .zip(&lifecycle)
        .map(|(change, event)| format!("{change} by {}", event.event_id));
    assert_eq!(changes_of(&store, &id).await, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_dispute_that_goes_back_to_open_is_written_each_time() {
    let store = Store::migrated().await;
    for event in &Bodies::new(5, NOW).dispute_lifecycle() {
        store.deliver([event]).await;
    }
    let id: String = store.value("SELECT dispute_id FROM payment_disputes").await;
    let changes = changes_of(&store, &id).await;
    let changes: Vec<_> = changes.iter().filter_map(|c| c.split(' ').next()).collect();
    assert_eq!(
        changes.join(" "),
        "->open open>under_review under_review>open open>under_review under_review>lost"
    );
}

#[tokio::test]
async fn a_status_that_becomes_null_is_a_change_too() {
    let store = Store::migrated().await;
    store.deliver([&moon("e1", 10, "\"up\"")]).await;
    store.deliver([&moon("e2", 20, "null")]).await;
    assert_eq!(changes_of(&store, "m1").await, ["->up by e1", "up>- by e2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_begins_where_the_previous_ended_although_many_commit_at_once() {
    let store = Store::migrated().await;
    let moon = |n: i64| moon(&format!("e{n:02}"), 1_000 + n, &format!("\"s{n}\""));
    let events: Vec<_> = (0..40).map(moon).collect();
    let committers = (0..4).map(async |turn| {
        for event in events.iter().skip(turn).step_by(4) {
            assert_eq!(store.deliver([event]).await.processed, 1);
        }
    });
    join_all(committers).await;
    // In order of their times, the changes form one chain from nothing to the last status.
    let changes = changes_of(&store, "m1").await;
    let mut status = "-";
    for change in &changes {
        let (from, to) = change.split(' ').next().unwrap().split_once('>').unwrap();
        assert_eq!(from, status, "{changes:?}");
        status = to;
    }
    assert_eq!(status, "s39");
}
