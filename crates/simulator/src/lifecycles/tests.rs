use std::collections::HashSet;

use serde_json::Value;

use harkara_core::event::{Event, read};
use harkara_core::ids::EventId;
use harkara_core::projection::project;

use crate::random::Random;
use crate::{Bodies, SimulatedEvent};

const NOW: i64 = 1_790_000_000;

fn lifecycle(make: fn(&mut Bodies) -> Vec<SimulatedEvent>) -> Vec<Value> {
    let events = make(&mut Bodies::new(21, NOW)).into_iter();
    events.map(|event| parsed(&event)).collect()
}

fn parsed(event: &SimulatedEvent) -> Value {
    serde_json::from_slice(&event.body).unwrap()
}

fn names(lifecycle: &[Value]) -> Vec<&str> {
    let names = lifecycle.iter().map(|body| body["event"].as_str().unwrap());
    names.collect()
}

/// The values of a field of an entity, in the order of the lifecycle.
fn values<'a>(lifecycle: &'a [Value], entity: &str, field: &str) -> Vec<&'a Value> {
    lifecycle
        .iter()
        .map(|body| &body["payload"][entity]["entity"][field])
        .filter(|value| !value.is_null())
        .collect()
}

/// How many entities of a kind a lifecycle has.
fn distinct(lifecycle: &[Value], entity: &str) -> usize {
    let ids: HashSet<_> = values(lifecycle, entity, "id").into_iter().collect();
    ids.len()
}

fn event_time(body: &Value) -> i64 {
    let inside = &body["payload"]["created_at"];
    body.get("created_at").unwrap_or(inside).as_i64().unwrap()
}

#[test]
fn every_lifecycle_goes_forward_in_time_and_has_happened_by_now() {
    for seed in 0..20 {
        for (name, lifecycle) in Bodies::new(seed, NOW).lifecycles() {
            let times = lifecycle.iter().map(|event| event_time(&parsed(event)));
            let times: Vec<_> = times.collect();
            assert!(times.iter().all(|&time| time <= NOW), "{name} {times:?}");
            // The events of a link carry the link's creation.
            let is_ordered = name == "payment_link" || times.is_sorted();
            assert!(is_ordered, "{name} {times:?}");
            let ids: HashSet<_> = lifecycle.iter().map(|event| &event.event_id).collect();
            assert_eq!(ids.len(), lifecycle.len());
        }
    }
}

#[test]
fn a_payments_lifecycle_is_about_one_payment() {
    let lifecycle = lifecycle(Bodies::payment_lifecycle);
    assert_eq!(
        names(&lifecycle),
        [
            "payment.failed",
            "payment.authorized",
            "payment.captured",
            "order.paid",
            "refund.created",
            "refund.processed",
            "payment.dispute.created",
            "payment.dispute.under_review",
            "payment.dispute.won",
        ]
    );
    for entity in ["payment", "order", "refund", "dispute"] {
        assert_eq!(distinct(&lifecycle, entity), 1, "{entity}");
    }
    let payment = |field| values(&lifecycle, "payment", field);
    assert_eq!(payment("status")[..3], ["failed", "authorized", "captured"]);
    let refunded = payment("amount_refunded");
    assert!(refunded.iter().map(|amount| amount.as_i64()).is_sorted());
    assert_eq!(payment("refund_status"), ["partial"; 5]);
    assert_eq!(payment("error_code").len(), 1);
    assert_eq!(
        values(&lifecycle, "refund", "status"),
        ["pending", "processed"]
    );
    assert_eq!(
        values(&lifecycle, "dispute", "status"),
        ["open", "under_review", "won"]
    );
    assert_eq!(event_time(&lifecycle[2]), event_time(&lifecycle[3]));
}

#[test]
fn a_refund_lifecycle_ends_refunded_in_full() {
    let lifecycle = lifecycle(Bodies::refund_lifecycle);
    assert_eq!(distinct(&lifecycle, "payment"), 1);
    assert_eq!(distinct(&lifecycle, "refund"), 2);
    let last = &lifecycle.last().unwrap()["payload"]["payment"]["entity"];
    assert_eq!(last["status"], "refunded");
    assert_eq!(last["refund_status"], "full");
    assert_eq!(last["amount_refunded"], last["amount"]);
    assert!(names(&lifecycle).contains(&"refund.speed_changed"));
}

#[test]
fn a_dispute_goes_back_to_the_merchant_before_it_is_lost() {
    let lifecycle = lifecycle(Bodies::dispute_lifecycle);
    assert_eq!(distinct(&lifecycle, "dispute"), 1);
    let statuses = values(&lifecycle, "dispute", "status");
    assert_eq!(
        statuses,
        ["open", "under_review", "open", "under_review", "lost"]
    );
}

#[test]
fn links_and_invoices_are_paid_by_two_payments_of_one_order() {
    let link = (lifecycle(Bodies::payment_link_lifecycle), "payment_link");
    let invoice = (lifecycle(Bodies::invoice_lifecycle), "invoice");
    for (lifecycle, entity) in [link, invoice] {
        assert_eq!(distinct(&lifecycle, entity), 1);
        assert_eq!(distinct(&lifecycle, "order"), 1);
        assert_eq!(distinct(&lifecycle, "payment"), 2);
        let of = |entity, field| values(&lifecycle, entity, field);
        assert_eq!(of(entity, "status"), ["partially_paid", "paid"]);
        assert_eq!(of("order", "status"), ["attempted", "paid", "paid"]);
        assert_eq!(of("order", "attempts"), [1, 2, 2]);
        let order_ids: HashSet<_> = of("payment", "order_id").into_iter().collect();
        assert_eq!(order_ids.len(), 1);
    }
}

#[test]
fn a_downtime_keeps_its_id_to_its_end() {
    let lifecycle = lifecycle(Bodies::downtime_lifecycle);
    assert_eq!(distinct(&lifecycle, "payment.downtime"), 1);
    let of = |field| values(&lifecycle, "payment.downtime", field);
    assert_eq!(of("status"), ["started", "updated", "resolved"]);
    assert_eq!(of("end").len(), 1);
}

#[test]
fn an_account_passes_through_statuses_that_each_allowed_the_next() {
    let lifecycle = lifecycle(Bodies::account_lifecycle);
    assert_eq!(distinct(&lifecycle, "account"), 1);
    let details = values(&lifecycle, "account", "merchant_detail");
    for pair in details.windows(2) {
        let allowed = pair[0]["allowed_next_activation_statuses"]
            .as_array()
            .unwrap();
        assert!(allowed.contains(&pair[1]["activation_status"]), "{pair:?}");
    }
}

/// The law that lifecycles are for: an order of arrival, and repetition, change no merged row.
#[test]
fn a_lifecycle_in_any_order_with_repetition_projects_to_the_same_rows() {
    let mut random = Random::new(5);
    for (name, lifecycle) in Bodies::new(9, NOW).lifecycles() {
        let read = |event: SimulatedEvent| {
            let body = read(&event.body).unwrap();
            (EventId::stored(event.event_id), body)
        };
        let mut events: Vec<_> = lifecycle.into_iter().map(read).collect();
        let rows = |events: &[(EventId, Event)]| {
            let projected = project(events.iter().map(|(id, event)| (id, event)));
            (
                projected.orders,
                projected.payments,
                projected.refunds,
                projected.disputes,
                projected.states,
            )
        };
        let expected = rows(&events);
        events.extend_from_within(..);
        for _ in 0..200 {
            random.shuffle(&mut events);
            assert_eq!(rows(&events), expected, "{name}");
        }
    }
}
