//! The same event more than once: one row, one effect.

use futures_util::future::join_all;
use harkara_simulator::SimulatedEvent;
use harkara_storage::commit::{self, DuplicateHint};

use crate::records::{all_claimed, bodies, event, numbered, payment};
use crate::store::{Store, commit, only_duplicates, total};

/// The tables that show effects, without what a duplicate may change.
const EFFECTS: &[&str] = &[
    "payment_transactions",
    "payment_orders",
    "payment_refunds",
    "entity_snapshots",
    "downtime_events",
    "payment_link_events",
    "audit_logs",
];

/// Columns that show which events were counted as duplicates.
const COUNTERS: &str = "razorpay_event_id, duplicates, other_id_duplicates";

fn under(id: &str, event: &SimulatedEvent) -> SimulatedEvent {
    SimulatedEvent {
        event_id: id.to_owned(),
        ..event.clone()
    }
}

/// Commits the events in each of four concurrent batches, each beginning elsewhere; returns the sums of
/// processed events and duplicates.
async fn commit_four_times(store: &Store, events: &[SimulatedEvent]) -> (usize, usize) {
    let commits = (0..4).map(async |turn| {
        let (before, from) = events.split_at(turn * events.len() / 4);
        store.deliver(from.iter().chain(before)).await
    });
    total(&join_all(commits).await)
}

#[tokio::test]
async fn a_duplicate_is_counted_and_changes_no_table() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let names = [
        "refund.created",
        "payment.downtime.started",
        "payment_link.paid",
    ];
    let events = names.map(|name| bodies.event(name));
    assert_eq!(store.deliver(&events).await.processed, 3);
    let before = store.tables(EFFECTS).await;
    for _ in 0..2 {
        assert_eq!(store.deliver(&events).await, only_duplicates(3));
    }
    assert_eq!(store.tables(EFFECTS).await, before);
    assert_eq!(store.ledger("duplicates").await, ["2"; 3]);
}

#[tokio::test]
async fn the_hint_changes_no_outcome() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let hint = DuplicateHint::default();
    let events: Vec<_> = (0..6).map(|_| bodies.event("payment.captured")).collect();
    // A batch of new events; one with a duplicate, inserted optimistically; one with a duplicate and one
    // without, which are checked; and one that is inserted optimistically again.
    for (batch, processed, duplicates) in [
        (&events[0..2], 2, 0),
        (&events[1..3], 1, 1),
        (&events[2..4], 1, 1),
        (&events[4..5], 1, 0),
        (&events[3..6], 1, 2),
    ] {
        let committed = commit::commit(&store.pool, &hint, &all_claimed(batch))
            .await
            .unwrap();
        let outcome = committed.outcome();
        assert_eq!(outcome.processed, processed);
        assert_eq!(outcome.duplicates, duplicates);
        for at in 0..batch.len() {
            assert_eq!(committed.is_duplicate(at), at < duplicates, "{at}");
        }
    }
    assert_eq!(store.duplicates().await, 4);
    for table in ["audit_logs", "webhook_events", "event_identities"] {
        assert_eq!(store.count(table).await, 6, "{table}");
    }
}

#[tokio::test]
async fn several_deliveries_in_one_batch_are_one_row_and_duplicates() {
    let store = Store::migrated().await;
    let event = payment("evt", "pay_1", "captured", 10);
    let outcome = store.deliver([&event, &event, &event]).await;
    assert_eq!((outcome.processed, outcome.duplicates), (1, 2));
    assert_eq!(store.ledger(COUNTERS).await, ["evt 2 0"]);
    assert_eq!(store.count("audit_logs").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_in_many_concurrent_commits_are_one_row() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let events: Vec<_> = (0..20).map(|_| bodies.event("payment.captured")).collect();
    assert_eq!(commit_four_times(&store, &events).await, (20, 60));
    assert_eq!(store.ledger("duplicates").await, ["3"; 20]);
    assert_eq!(store.count("audit_logs").await, 20);
}

#[tokio::test]
async fn a_body_under_another_id_has_no_second_effect() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let first = under("first", &bodies.event("payment.downtime.started"));
    assert_eq!(store.deliver([&first]).await.processed, 1);
    let before = store.tables(EFFECTS).await;

    let replayed = under("replayed", &first);
    assert_eq!(store.deliver([&replayed]).await.duplicates, 1);
    assert_eq!(store.deliver([&replayed, &first]).await.duplicates, 2);
    assert_eq!(store.ledger(COUNTERS).await, ["first 1 2"]);
    assert_eq!(store.tables(EFFECTS).await, before);
    assert_eq!(store.count("downtime_events").await, 1);
}

#[tokio::test]
async fn a_body_under_two_ids_in_one_batch_is_one_event() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let first = under("first", &bodies.event("payment_link.paid"));
    let outcome = store.deliver([&first, &under("second", &first)]).await;
    assert_eq!((outcome.processed, outcome.duplicates), (1, 1));
    assert_eq!(store.ledger(COUNTERS).await, ["first 0 1"]);
}

#[tokio::test]
async fn a_second_body_under_a_known_id_is_a_separate_event() {
    let [one, two] = ["pay_1", "pay_2"].map(|id| payment("evt", id, "captured", 10));
    // In two batches, and in one.
    for batches in [vec![vec![&one], vec![&two]], vec![vec![&one, &two]]] {
        let store = Store::migrated().await;
        let (mut processed, mut contested) = (0, Vec::new());
        for batch in batches {
            let n = batch.len();
            let committed = commit(&store.pool, all_claimed(batch)).await.unwrap();
            processed += committed.outcome().processed;
            contested.extend((0..n).filter_map(|at| committed.contested_id(at).cloned()));
        }
        assert_eq!(processed, 2);
        let payments: Vec<String> = store
            .column("SELECT payment_id FROM payment_transactions ORDER BY 1")
            .await;
        assert_eq!(payments, ["pay_1", "pay_2"]);
        let [contested] = &contested[..] else {
            panic!("{contested:?}")
        };
        assert!(contested.as_str().starts_with("evt~"), "{contested}");
        assert_eq!(
            store.ledger(COUNTERS).await,
            ["evt 0 0", &format!("{contested} 0 0")]
        );
        assert_eq!(store.deliver([&one, &two, &two]).await, only_duplicates(3));
        let mut counters = store.ledger("duplicates, other_id_duplicates").await;
        counters.sort();
        assert_eq!(counters, ["1 0", "2 0"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_contest_one_id_in_many_concurrent_commits_are_all_kept() {
    let store = Store::migrated().await;
    let events: Vec<_> = (0..12).map(|n| under("evt", &numbered(n))).collect();
    assert_eq!(commit_four_times(&store, &events).await.0, 12);
    assert_eq!(store.count("payment_transactions").await, 12);
    assert_eq!(store.duplicates().await, 36);
}

#[tokio::test]
async fn a_duplicate_of_an_event_whose_row_was_removed_has_no_effect() {
    let store = Store::migrated().await;
    let event = payment("evt", "pay_1", "captured", 10);
    store.deliver([&event]).await;
    store
        .execute("DELETE FROM webhook_events; DELETE FROM payment_transactions")
        .await;
    assert_eq!(store.deliver([&event]).await, only_duplicates(1));
    for table in ["webhook_events", "payment_transactions"] {
        assert_eq!(store.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_duplicate_of_a_dead_letter_leaves_it_dead() {
    let (store, bad) = (Store::migrated().await, event("bad", "not json"));
    assert_eq!(store.deliver([&bad]).await.failed, 1);
    assert_eq!(store.deliver([&bad]).await, only_duplicates(1));
    assert_eq!(store.ledger("status").await, ["failed"]);
}
