//! Columns that only grow, and the merge in SQL against the merge of `harkara-core`.

use harkara_core::event::read;
use harkara_core::ids::EventId;
use harkara_core::projection::project;
use harkara_simulator::SimulatedEvent;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::records::event;
use crate::store::Store;

/// The body of an event with snapshots of one payment and its order, whose ids are still missing.
fn snapshots() -> impl Strategy<Value = Value> {
    let of = |values: &'static [&'static str]| prop::sample::select(values);
    let amount = || prop::option::of(prop::sample::select(vec![-1i64, 0, 100, 250, 500]));
    (
        (of(&["payment.captured", "order.paid", "thing.seen"]), 1_000..1_003i64),
        of(&["created", "failed", "authorized", "captured", "refunded", "odd"]),
        of(&["created", "attempted", "paid"]),
        prop::option::of(of(&["partial", "full", "weird", "é"])),
        (amount(), amount(), amount(), prop::option::of(0..4i64)),
        prop::option::of(of(&["BAD", "GATEWAY"])),
    )
        .prop_map(|((name, at), payment, order, refund_status, amounts, error)| {
            let (refunded, paid, due, attempts) = amounts;
            json!({
                "event": name, "account_id": "acc_1", "created_at": at,
                "payload": {
                    "payment": { "entity": {
                        "status": payment, "amount_refunded": refunded, "refund_status": refund_status,
                        "error_code": error,
                    } },
                    "order": { "entity": {
                        "status": order, "amount_paid": paid, "amount_due": due, "attempts": attempts,
                    } },
                },
            })
        })
}

/// The event with these snapshots, about entities with these ids.
fn shown(snapshots: &Value, event_id: &str, entity: &str) -> SimulatedEvent {
    let mut body = snapshots.clone();
    for (kind, prefix) in [("payment", "pay"), ("order", "order")] {
        body["payload"][kind]["entity"]["id"] = json!(format!("{prefix}_{entity}"));
    }
    event(event_id, &body.to_string())
}

/// The merged columns of every payment and order whose ids end in `way`, except for those that must differ.
async fn merged(store: &Store, way: &str) -> Vec<String> {
    store.rows(&format!(
        "SELECT left(payment_id, 8) AS id, p.status, amount_refunded, refund_status, error_code, p.occurred_at, p.precedence, \
           left(p.last_event_id, 1) AS prevailing, o.status AS order_status, amount_paid, amount_due, attempts, \
           o.precedence AS order_precedence, left(o.last_event_id, 1) AS order_prevailing \
         FROM payment_transactions p JOIN payment_orders o ON substr(o.order_id, 7) = substr(p.payment_id, 5) \
         WHERE payment_id LIKE '%-{way}' ORDER BY payment_id"
    ))
    .await
}

#[tokio::test]
async fn two_snapshots_merge_in_sql_as_in_core_whichever_is_first() {
    const PAIRS: usize = 300;
    let store = Store::migrated().await;
    let mut runner = TestRunner::default();
    let mut pair = |_| (snapshots(), snapshots()).new_tree(&mut runner);
    let pairs: Vec<_> = (0..PAIRS).map(|n| pair(n).unwrap().current()).collect();

    // The same pairs three ways: the first before the second, after it, and both in one batch.
    let (mut earlier, mut later, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for (n, (first, second)) in pairs.iter().enumerate() {
        let both = |way: &str| {
            let entity = format!("{n:04}-{way}");
            [(first, "a"), (second, "b")]
                .map(|(body, id)| shown(body, &format!("{id}{entity}"), &entity))
        };
        let ([a, b], [second_a, second_b]) = (both("ab"), both("ba"));
        earlier.extend([a, second_b]);
        later.extend([b, second_a]);
        together.extend(both("one"));
    }
    for batch in [&earlier, &later, &together] {
        assert_eq!(store.deliver(batch).await.processed, 2 * PAIRS);
    }
    let one = merged(&store, "one").await;
    assert_eq!(one.len(), PAIRS);
    assert_eq!(merged(&store, "ab").await, one, "{pairs:#?}");
    assert_eq!(merged(&store, "ba").await, one, "{pairs:#?}");

    // One batch is folded by core and lands in empty tables, so its rows are core's.
    let read: Vec<_> = together
        .iter()
        .map(|e| (EventId::stored(e.event_id.clone()), read(&e.body).unwrap()))
        .collect();
    let folded = project(read.iter().map(|(id, event)| (id, event)));
    let core = folded.payments.iter().map(|s| {
        let (id, status) = (s.entity.id.as_str(), s.entity.status.as_str());
        let refunded = s.entity.amount_refunded.map(|amount| amount.0);
        json!([
            id,
            status,
            refunded,
            s.entity.refund_status.as_deref(),
            s.event_id.as_str()
        ])
    });
    let stored: Vec<String> = store
        .column(
            "SELECT json_build_array(payment_id, status, amount_refunded, refund_status, last_event_id)::text \
             FROM payment_transactions WHERE payment_id LIKE '%-one' ORDER BY payment_id",
        )
        .await;
    let stored = stored.iter().map(|row| serde_json::from_str(row).unwrap());
    assert_eq!(stored.collect::<Vec<Value>>(), core.collect::<Vec<_>>());
}

/// A captured payment with its refunds.
fn refunded(event_id: &str, at: i64, amount: i64, status: &str) -> SimulatedEvent {
    let body = format!(
        r#"{{"event":"payment.captured","created_at":{at},"payload":{{"payment":{{"entity":{{"id":"pay_1",
        "status":"captured","amount_refunded":{amount},"refund_status":{status},"bank":"at {at}"}}}}}}}}"#
    );
    event(event_id, &body)
}

/// The only payment: its refunds, and columns of the prevailing snapshot.
async fn payment(store: &Store) -> String {
    store
        .value("SELECT concat_ws(' ', status, amount_refunded, refund_status, error_code, bank, last_event_id) FROM payment_transactions")
        .await
}

#[tokio::test]
async fn a_late_snapshot_raises_the_refunded_amount_and_nothing_else() {
    let store = Store::migrated().await;
    let [new, late, later] = [
        refunded("new", 20, 100, "\"partial\""),
        refunded("late", 10, 500, "\"full\""),
        refunded("later", 5, 400, "null"),
    ];
    store.deliver([&new]).await;
    let late = store.deliver([&late]).await.applied;
    assert_eq!((late.changed, late.unchanged), (1, 0));
    assert_eq!(payment(&store).await, "captured 500 full at 20 new");
    let later = store.deliver([&later]).await.applied;
    assert_eq!((later.changed, later.unchanged), (0, 1));
}

#[tokio::test]
async fn a_newer_snapshot_does_not_take_back_a_refund() {
    let store = Store::migrated().await;
    for event in [
        refunded("first", 10, 500, "\"full\""),
        refunded("second", 20, 0, "null"),
    ] {
        store.deliver([&event]).await;
    }
    assert_eq!(payment(&store).await, "captured 500 full at 20 second");
}

#[tokio::test]
async fn a_captured_payment_does_not_keep_the_error_of_its_failed_attempt() {
    let store = Store::migrated().await;
    let failure = "\"BAD_REQUEST_ERROR\"";
    for (id, status, error) in [
        ("1", "failed", failure),
        ("2", "captured", "null"),
        ("3", "failed", failure),
    ] {
        let body = format!(
            r#"{{"event":"payment.{status}","created_at":10,"payload":{{"payment":{{"entity":{{"id":"pay_1",
            "status":"{status}","error_code":{error}}}}}}}}}"#
        );
        store.deliver([&event(id, &body)]).await;
    }
    assert_eq!(payment(&store).await, "captured 2");
}
