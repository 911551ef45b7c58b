use std::collections::HashSet;

use serde_json::Value;

use harkara_core::event::{Event, read};
use harkara_core::ids::EventId;
use harkara_core::projection::project;

use crate::random::Random;
use crate::{Bodies, SimulatedEvent};

const NOW: i64 = 1_790_000_000;

fn story(tell: fn(&mut Bodies) -> Vec<SimulatedEvent>) -> Vec<Value> {
    let story = tell(&mut Bodies::new(21, NOW));
    story
        .iter()
        .map(|event| serde_json::from_slice(&event.body).unwrap())
        .collect()
}

fn names(story: &[Value]) -> Vec<&str> {
    story
        .iter()
        .map(|body| body["event"].as_str().unwrap())
        .collect()
}

/// The values of a field of an entity, in the order of the story.
fn values<'a>(story: &'a [Value], entity: &str, field: &str) -> Vec<&'a Value> {
    story
        .iter()
        .map(|body| &body["payload"][entity]["entity"][field])
        .filter(|value| !value.is_null())
        .collect()
}

fn distinct(story: &[Value], entity: &str) -> usize {
    values(story, entity, "id")
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect::<HashSet<_>>()
        .len()
}

fn event_time(body: &Value) -> i64 {
    body["created_at"]
        .as_i64()
        .or_else(|| body["payload"]["created_at"].as_i64())
        .unwrap()
}

#[test]
fn every_lifecycle_goes_forward_in_time_and_has_happened_by_now() {
    for seed in 0..20 {
        for (name, story) in Bodies::new(seed, NOW).lifecycles() {
            let times: Vec<_> = story
                .iter()
                .map(|event| event_time(&serde_json::from_slice(&event.body).unwrap()))
                .collect();
            assert!(times.iter().all(|&time| time <= NOW), "{name} {times:?}");
            // The events of a link carry the link's creation.
            assert!(
                name == "payment_link" || times.is_sorted(),
                "{name} {times:?}"
            );
            let ids: HashSet<_> = story.iter().map(|event| &event.event_id).collect();
            assert_eq!(ids.len(), story.len());
        }
    }
}

#[test]
fn a_payments_lifecycle_is_about_one_payment() {
    let story = story(Bodies::payment_lifecycle);
    assert_eq!(
        names(&story),
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
        assert_eq!(distinct(&story, entity), 1, "{entity}");
    }
    let payment = |field| values(&story, "payment", field);
    assert_eq!(payment("status")[..3], ["failed", "authorized", "captured"]);
    assert!(
        payment("amount_refunded")
            .iter()
            .map(|v| v.as_i64())
            .is_sorted()
    );
    assert_eq!(payment("refund_status"), ["partial"; 5]);
    assert_eq!(payment("error_code").len(), 1);
    assert_eq!(values(&story, "refund", "status"), ["pending", "processed"]);
    assert_eq!(
        values(&story, "dispute", "status"),
        ["open", "under_review", "won"]
    );
    assert_eq!(event_time(&story[2]), event_time(&story[3]));
}

#[test]
fn a_refund_lifecycle_ends_refunded_in_full() {
    let story = story(Bodies::refund_lifecycle);
    assert_eq!(
        (distinct(&story, "payment"), distinct(&story, "refund")),
        (1, 2)
    );
    let last = &story.last().unwrap()["payload"]["payment"]["entity"];
    assert_eq!(
        (&last["status"], &last["refund_status"]),
        (&"refunded".into(), &"full".into())
    );
    assert_eq!(last["amount_refunded"], last["amount"]);
    assert!(names(&story).contains(&"refund.speed_changed"));
}

#[test]
fn a_dispute_goes_back_to_the_merchant_before_it_is_lost() {
    let story = story(Bodies::dispute_lifecycle);
    assert_eq!(distinct(&story, "dispute"), 1);
    assert_eq!(
        values(&story, "dispute", "status"),
        ["open", "under_review", "open", "under_review", "lost"]
    );
}

#[test]
fn links_and_invoices_are_paid_by_two_payments_of_one_order() {
    for (tell, entity) in [
        (
            Bodies::payment_link_lifecycle as fn(&mut Bodies) -> _,
            "payment_link",
        ),
        (Bodies::invoice_lifecycle as fn(&mut Bodies) -> _, "invoice"),
    ] {
        let story = story(tell);
        assert_eq!(
            (
                distinct(&story, entity),
                distinct(&story, "order"),
                distinct(&story, "payment")
            ),
            (1, 1, 2)
        );
        assert_eq!(values(&story, entity, "status"), ["partially_paid", "paid"]);
        assert_eq!(
            values(&story, "order", "status"),
            ["attempted", "paid", "paid"]
        );
        assert_eq!(values(&story, "order", "attempts"), [1, 2, 2]);
        let order_ids: HashSet<_> = values(&story, "payment", "order_id")
            .iter()
            .map(|id| id.as_str())
            .collect();
        assert_eq!(order_ids.len(), 1);
    }
}

#[test]
fn a_downtime_keeps_its_id_to_its_end() {
    let story = story(Bodies::downtime_lifecycle);
    assert_eq!(distinct(&story, "payment.downtime"), 1);
    assert_eq!(
        values(&story, "payment.downtime", "status"),
        ["started", "updated", "resolved"]
    );
    assert_eq!(values(&story, "payment.downtime", "end").len(), 1);
}

#[test]
fn an_account_passes_through_statuses_that_each_allowed_the_next() {
    let story = story(Bodies::account_lifecycle);
    assert_eq!(distinct(&story, "account"), 1);
    let details = values(&story, "account", "merchant_detail");
    for pair in details.windows(2) {
        let allowed = pair[0]["allowed_next_activation_statuses"]
            .as_array()
            .unwrap();
        assert!(allowed.contains(&pair[1]["activation_status"]), "{pair:?}");
    }
}

/// The law that stories are for: an order of arrival, and repetition, change no merged row.
#[test]
fn a_lifecycle_in_any_order_with_repetition_projects_to_the_same_rows() {
    let mut random = Random::new(5);
    for (name, story) in Bodies::new(9, NOW).lifecycles() {
        let mut events: Vec<_> = story
            .iter()
            .map(|event| {
                (
                    EventId::stored(event.event_id.clone()),
                    read(&event.body).unwrap(),
                )
            })
            .collect();
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
