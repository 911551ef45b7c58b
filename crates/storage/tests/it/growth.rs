//! What only grows, and the merge stated in SQL against the merge of `harkara-core`.

use harkara_core::event::read;
use harkara_core::ids::EventId;
use harkara_core::projection::project;
use harkara_simulator::SimulatedEvent;
use harkara_testkit::TestDatabase;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::records::{all_claimed, commit, deliver, event};

/// What varies between two snapshots of one payment and its order.
#[derive(Clone, Debug)]
struct Shown {
    name: &'static str,
    at: i64,
    payment: &'static str,
    order: &'static str,
    refund_status: Option<&'static str>,
    refunded: Option<i64>,
    paid: Option<i64>,
    due: Option<i64>,
    attempts: Option<i64>,
    error: Option<&'static str>,
}

fn shown() -> impl Strategy<Value = Shown> {
    let amount = || prop::option::of(prop::sample::select(vec![-1i64, 0, 100, 250, 500]));
    (
        prop::sample::select(vec!["payment.captured", "order.paid", "thing.seen"]),
        1_000..1_003i64,
        prop::sample::select(vec![
            "created",
            "failed",
            "authorized",
            "captured",
            "refunded",
            "odd",
        ]),
        prop::sample::select(vec!["created", "attempted", "paid"]),
        prop::option::of(prop::sample::select(vec!["partial", "full", "weird", "é"])),
        amount(),
        amount(),
        amount(),
        prop::option::of(0..4i64),
        prop::option::of(prop::sample::select(vec!["BAD", "GATEWAY"])),
    )
        .prop_map(
            |(name, at, payment, order, refund_status, refunded, paid, due, attempts, error)| {
                Shown {
                    name,
                    at,
                    payment,
                    order,
                    refund_status,
                    refunded,
                    paid,
                    due,
                    attempts,
                    error,
                }
            },
        )
}

impl Shown {
    /// The event that shows it, about entities with ids of their own.
    fn event(&self, event_id: &str, entity: &str) -> SimulatedEvent {
        let body = serde_json::json!({
            "event": self.name, "account_id": "acc_1", "created_at": self.at,
            "payload": {
                "payment": { "entity": {
                    "id": format!("pay_{entity}"), "status": self.payment, "amount_refunded": self.refunded,
                    "refund_status": self.refund_status, "error_code": self.error,
                } },
                "order": { "entity": {
                    "id": format!("order_{entity}"), "status": self.order, "amount_paid": self.paid,
                    "amount_due": self.due, "attempts": self.attempts,
                } },
            },
        });
        event(event_id, &body.to_string())
    }
}

/// The merged columns of every payment and order whose ids end in `way`, without what must differ.
async fn merged(db: &TestDatabase, way: &str) -> Vec<String> {
    db.rows(&format!(
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
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let mut runner = TestRunner::default();
    let pairs: Vec<(Shown, Shown)> = (0..PAIRS)
        .map(|_| (shown(), shown()).new_tree(&mut runner).unwrap().current())
        .collect();

    // The same pairs three ways: the first before the second, after it, and both in one batch.
    let (mut earlier, mut later, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for (n, (first, second)) in pairs.iter().enumerate() {
        let of = |way: &str| {
            let entity = format!("{n:04}-{way}");
            (
                first.event(&format!("a{entity}"), &entity),
                second.event(&format!("b{entity}"), &entity),
            )
        };
        let (a, b) = of("ab");
        earlier.push(a);
        later.push(b);
        let (a, b) = of("ba");
        earlier.push(b);
        later.push(a);
        let (a, b) = of("one");
        together.extend([a, b]);
    }
    for batch in [&earlier, &later, &together] {
        let outcome = commit(&pool, all_claimed(batch)).await.unwrap().outcome();
        assert_eq!(outcome.processed, 2 * PAIRS);
    }
    let one = merged(&db, "one").await;
    assert_eq!(one.len(), PAIRS);
    assert_eq!(merged(&db, "ab").await, one, "{pairs:#?}");
    assert_eq!(merged(&db, "ba").await, one, "{pairs:#?}");

    // One batch is folded by core and lands in empty tables, so its rows are core's.
    let read: Vec<_> = together
        .iter()
        .map(|e| (EventId::stored(e.event_id.clone()), read(&e.body).unwrap()))
        .collect();
    let folded = project(read.iter().map(|(id, event)| (id, event)));
    let core: Vec<String> = folded
        .payments
        .iter()
        .map(|s| {
            let refunded = s
                .entity
                .amount_refunded
                .map_or("-".to_owned(), |amount| amount.0.to_string());
            let refund_status = s.entity.refund_status.as_deref().unwrap_or("-");
            format!(
                "{} {} {refunded} {refund_status} {}",
                s.entity.id, s.entity.status, s.event_id
            )
        })
        .collect();
    let stored: Vec<String> = db
        .column(
            "SELECT payment_id || ' ' || status || ' ' || coalesce(amount_refunded::text, '-') || ' ' || \
               coalesce(refund_status, '-') || ' ' || last_event_id \
             FROM payment_transactions WHERE payment_id LIKE '%-one' ORDER BY payment_id",
        )
        .await;
    assert_eq!(stored, core);
}

/// A payment in one line, with what grows.
fn refunded(event_id: &str, at: i64, amount: i64, status: &str) -> SimulatedEvent {
    event(
        event_id,
        &format!(
            r#"{{"event":"payment.captured","created_at":{at},"payload":{{"payment":{{"entity":{{"id":"pay_1",
            "status":"captured","amount_refunded":{amount},"refund_status":{status},"bank":"at {at}"}}}}}}}}"#
        ),
    )
}

#[tokio::test]
async fn a_late_snapshot_raises_the_refunded_amount_and_leaves_the_rest() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    deliver(&pool, &[&refunded("new", 20, 100, "\"partial\"")]).await;
    let outcome = deliver(&pool, &[&refunded("late", 10, 500, "\"full\"")]).await;
    assert_eq!((outcome.applied.changed, outcome.applied.unchanged), (1, 0));
    let row: String = db
        .value("SELECT concat_ws(' ', amount_refunded, refund_status, bank, last_event_id) FROM payment_transactions")
        .await;
    assert_eq!(row, "500 full at 20 new");
    let outcome = deliver(&pool, &[&refunded("later", 5, 400, "null")]).await;
    assert_eq!((outcome.applied.changed, outcome.applied.unchanged), (0, 1));
}

#[tokio::test]
async fn a_newer_snapshot_does_not_take_back_what_was_refunded() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    deliver(&pool, &[&refunded("first", 10, 500, "\"full\"")]).await;
    deliver(&pool, &[&refunded("second", 20, 0, "null")]).await;
    let row: String = db
        .value("SELECT concat_ws(' ', amount_refunded, refund_status, bank, last_event_id) FROM payment_transactions")
        .await;
    assert_eq!(row, "500 full at 20 second");
}

#[tokio::test]
async fn a_captured_payment_does_not_keep_the_error_of_its_failed_attempt() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let shown = |id: &str, status: &str, error: &str| {
        event(
            id,
            &format!(
                r#"{{"event":"payment.{status}","created_at":10,"payload":{{"payment":{{"entity":{{"id":"pay_1",
                "status":"{status}","error_code":{error}}}}}}}}}"#
            ),
        )
    };
    deliver(&pool, &[&shown("1", "failed", "\"BAD_REQUEST_ERROR\"")]).await;
    deliver(&pool, &[&shown("2", "captured", "null")]).await;
    deliver(&pool, &[&shown("3", "failed", "\"BAD_REQUEST_ERROR\"")]).await;
    let row: String = db
        .value("SELECT concat_ws(' ', status, error_code, last_event_id) FROM payment_transactions")
        .await;
    assert_eq!(row, "captured 2");
}
