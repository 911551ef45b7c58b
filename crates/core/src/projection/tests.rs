use proptest::prelude::*;

use super::{Projection, project};
use crate::event::{Event, read};
use crate::ids::EventId;

/// An event about a few payments, orders and refunds, in any state at any time.
fn event() -> impl Strategy<Value = String> {
    let status = prop::sample::select(vec![
        "created",
        "failed",
        "authorized",
        "captured",
        "refunded",
        "odd",
    ]);
    let order = prop::sample::select(vec!["created", "attempted", "paid"]);
    let name = prop::sample::select(vec![
        "payment.captured",
        "order.paid",
        "refund.created",
        "x.unknown",
    ]);
    (name, 0..3u8, status, order, 1_700_000_000i64..1_700_000_003, 0i64..4, any::<bool>(), 0i64..4).prop_map(
        |(name, id, status, order, at, refunded, full, paid)| {
            let refund_status = if full { "\"full\"" } else { "\"partial\"" };
            format!(
                r#"{{"event":"{name}","created_at":{at},"payload":{{
                "payment":{{"entity":{{"id":"pay_{id}","status":"{status}","amount":{refunded},"amount_refunded":{refunded},"refund_status":{refund_status},"error_code":"{status}"}}}},
                "order":{{"entity":{{"id":"order_{id}","status":"{order}","amount_paid":{paid},"amount_due":{},"attempts":{paid}}}}},
                "refund":{{"entity":{{"id":"rfnd_{id}","status":"processed","amount":{refunded}}}}},
                "invoice":{{"entity":{{"id":"inv_{id}","status":"paid"}}}},
                "thing":{{"entity":{{"id":"thing_{id}","status":"{status}"}}}} }} }}"#,
                9 - paid
            )
        },
    )
}

fn events() -> impl Strategy<Value = Vec<(EventId, Event)>> {
    prop::collection::vec(event(), 1..12).prop_map(|bodies| numbered(&bodies))
}

fn numbered(bodies: &[impl AsRef<str>]) -> Vec<(EventId, Event)> {
    let read = |(n, body): (usize, &str)| {
        let id = EventId::stored(format!("evt{n}"));
        (id, read(body.as_bytes()).unwrap())
    };
    bodies
        .iter()
        .map(AsRef::as_ref)
        .enumerate()
        .map(read)
        .collect()
}

fn fold(events: &[(EventId, Event)]) -> Projection {
    project(events.iter().map(|(id, event)| (id, event)))
}

/// The rows that merge; a history has a row for each event id.
fn merged(p: Projection) -> Projection {
    Projection {
        orders: p.orders,
        payments: p.payments,
        refunds: p.refunds,
        disputes: p.disputes,
        states: p.states,
        ..Projection::default()
    }
}

proptest! {
    #[test]
    fn any_order_and_repetition_gives_the_same_rows(events in events(), seed in any::<u64>()) {
        let mut again: Vec<_> = events.iter().chain(&events).cloned().collect();
        let mut state = seed;
        for at in (1..again.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            again.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        prop_assert_eq!(merged(fold(&again)), merged(fold(&events)));
    }

    #[test]
    fn batching_changes_nothing(events in events(), at in any::<prop::sample::Index>()) {
        let (first, second) = events.split_at(at.index(events.len()));
        let mut one = fold(first).payments;
        for snapshot in fold(second).payments {
            match one.iter().position(|row| row.entity.id == snapshot.entity.id) {
                Some(at) => one[at] = super::merge(snapshot, one[at].clone()),
                None => one.push(snapshot),
            }
        }
        one.sort_by(|a, b| a.entity.id.cmp(&b.entity.id));
        prop_assert_eq!(one, fold(&events).payments);
    }
}

fn projected(bodies: &[&str]) -> Projection {
    fold(&numbered(bodies))
}

#[test]
fn a_captured_payment_does_not_keep_the_error_of_its_failed_attempt() {
    let p = projected(&[
        r#"{"event":"payment.captured","created_at":20,"payload":{"payment":{"entity":{"id":"pay_1","status":"captured","error_code":null}}}}"#,
        r#"{"event":"payment.failed","created_at":30,"payload":{"payment":{"entity":{"id":"pay_1","status":"failed","error_code":"BAD_REQUEST_ERROR"}}}}"#,
    ]);
    assert_eq!(p.payments[0].entity.status, "captured");
    assert_eq!(p.payments[0].entity.error_code, None);
    assert_eq!(p.payments[0].event_id.as_str(), "evt0");
}

#[test]
fn monotonic_fields_are_kept_from_a_late_snapshot() {
    let p = projected(&[
        r#"{"event":"refund.processed","created_at":20,"payload":{"refund":{"entity":{"id":"rfnd_1","status":"processed"}},"payment":{"entity":{"id":"pay_1","status":"captured","amount_refunded":500,"refund_status":"partial"}}}}"#,
        r#"{"event":"payment.captured","created_at":30,"payload":{"payment":{"entity":{"id":"pay_1","status":"captured","amount_refunded":0,"refund_status":null,"fee":7}}}}"#,
    ]);
    let payment = &p.payments[0].entity;
    assert_eq!(
        (
            payment.amount_refunded.unwrap().0,
            payment.refund_status.as_deref()
        ),
        (500, Some("partial"))
    );
    assert_eq!(payment.fee.unwrap().0, 7);
}

#[test]
fn an_entitys_own_event_describes_it_at_an_equal_time() {
    let p = projected(&[
        r#"{"event":"payment.captured","created_at":20,"payload":{"payment":{"entity":{"id":"pay_1","status":"captured","bank":"HDFC"}}}}"#,
        r#"{"event":"order.paid","created_at":20,"payload":{"order":{"entity":{"id":"order_1","status":"paid"}},"payment":{"entity":{"id":"pay_1","status":"captured"}}}}"#,
    ]);
    assert_eq!(p.payments[0].entity.bank.as_deref(), Some("HDFC"));
}
