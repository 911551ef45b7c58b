use std::collections::HashSet;

use harkara_core::catalogue::{self, EVENTS};
use serde_json::Value;

use super::Bodies;

mod histories;

const NOW: i64 = 1_790_000_000;

/// Enough bodies of one name to meet every choice that a builder makes.
const VARIANTS: usize = 40;

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// The entities of `VARIANTS` bodies of one event, by payload key.
fn payloads(name: &str) -> Vec<Value> {
    let mut bodies = Bodies::new(11, NOW);
    (0..VARIANTS)
        .map(|_| parsed(&bodies.body(name))["payload"].take())
        .collect()
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 14 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[test]
fn every_catalogued_event_has_a_body_with_what_it_contains_and_requires() {
    let mut bodies = Bodies::new(1, NOW);
    for known in EVENTS {
        for _ in 0..VARIANTS {
            let body = parsed(&bodies.body(known.name));
            assert_eq!(body["event"], known.name);
            assert!(
                is_id(body["account_id"].as_str().unwrap(), "acc_"),
                "{}",
                known.name
            );
            for key in body["contains"].as_array().unwrap() {
                assert!(
                    !body["payload"][key.as_str().unwrap()].is_null(),
                    "{} lacks {key}",
                    known.name
                );
            }
            if let Some(required) = known.required_entity() {
                assert!(
                    body["payload"][required]["entity"]["id"].is_string(),
                    "{} lacks {required}",
                    known.name
                );
            }
            if !known.contains.is_empty() {
                assert_eq!(
                    body["contains"],
                    serde_json::json!(known.contains),
                    "{}",
                    known.name
                );
            }
        }
    }
}

#[test]
fn an_undocumented_event_gets_an_entity_of_its_own() {
    let body = parsed(&Bodies::new(1, NOW).body("wallet.balance.low"));
    assert_eq!(body["contains"], serde_json::json!(["wallet.balance"]));
    assert_eq!(body["payload"]["wallet.balance"]["entity"]["status"], "low");
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_seed_others() {
    let events = |seed| {
        let mut bodies = Bodies::new(seed, NOW);
        EVENTS
            .iter()
            .map(|known| bodies.event(known.name))
            .collect::<Vec<_>>()
    };
    assert_eq!(events(3), events(3));
    assert!(
        events(3)
            .iter()
            .zip(events(4))
            .all(|(a, b)| a.body != b.body && a.event_id != b.event_id)
    );
}

#[test]
fn no_id_is_given_twice() {
    let mut bodies = Bodies::new(1, NOW);
    let names: Vec<_> = catalogue::typed().collect();
    let mut seen = HashSet::new();
    for at in 0..10_000 {
        let known = names[at % names.len()];
        let event = bodies.event(known.name);
        assert!(is_id(&event.event_id, ""));
        assert!(seen.insert(event.event_id));
        let body = parsed(&event.body);
        let payload = body["payload"].as_object().unwrap();
        for entity in payload
            .values()
            .filter_map(|value| value["entity"]["id"].as_str())
        {
            assert!(seen.insert(entity.to_owned()), "{entity} again");
        }
    }
}

#[test]
fn bodies_are_minified_and_about_as_large_as_on_the_wire() {
    let mut bodies = Bodies::new(1, NOW);
    for known in catalogue::typed() {
        let body = String::from_utf8(bodies.body(known.name)).unwrap();
        assert!(
            !body.contains('\n') && !body.contains("\": "),
            "{}",
            known.name
        );
        assert!(
            (350..4_000).contains(&body.len()),
            "{}: {} bytes",
            known.name,
            body.len()
        );
    }
}

#[test]
fn payments_have_the_fields_of_their_state_and_method() {
    let mut methods = HashSet::new();
    for (name, status, captured) in [
        ("payment.authorized", "authorized", false),
        ("payment.captured", "captured", true),
        ("payment.failed", "failed", false),
    ] {
        for payload in payloads(name) {
            let payment = &payload["payment"]["entity"];
            assert_eq!(payment["status"], status);
            assert_eq!(payment["captured"], captured);
            assert_eq!(payment["fee"].is_null(), !captured);
            assert_eq!(payment["error_code"].is_string(), status == "failed");
            let method = payment["method"].as_str().unwrap();
            let own = [
                ("upi", "vpa"),
                ("card", "card_id"),
                ("netbanking", "bank"),
                ("wallet", "wallet"),
            ];
            for (of, field) in own {
                assert_eq!(payment[field].is_string(), method == of, "{method} {field}");
            }
            methods.insert(method.to_owned());
        }
    }
    assert_eq!(methods.len(), 4);
}

#[test]
fn notes_are_sometimes_an_empty_list_and_sometimes_not_ascii() {
    let notes: Vec<_> = payloads("payment.captured")
        .iter()
        .map(|p| p["payment"]["entity"]["notes"].clone())
        .collect();
    assert!(notes.iter().any(|notes| notes == &serde_json::json!([])));
    assert!(notes.iter().any(|notes| !notes.to_string().is_ascii()));
}

#[test]
fn an_order_is_paid_by_its_payment() {
    for payload in payloads("order.paid") {
        let (order, payment) = (&payload["order"]["entity"], &payload["payment"]["entity"]);
        assert_eq!(payment["order_id"], order["id"]);
        assert_eq!(order["status"], "paid");
        assert_eq!(order["attempts"], 1);
        assert_eq!(order["amount_paid"], payment["amount"]);
        assert_eq!(order["amount_due"], 0);
    }
}

#[test]
fn a_refund_is_never_more_than_its_payment() {
    let mut statuses = HashSet::new();
    for name in [
        "refund.created",
        "refund.processed",
        "refund.failed",
        "refund.speed_changed",
    ] {
        for payload in payloads(name) {
            let (refund, payment) = (&payload["refund"]["entity"], &payload["payment"]["entity"]);
            assert_eq!(refund["payment_id"], payment["id"]);
            assert_eq!(payment["amount_refunded"], refund["amount"]);
            let full = payment["amount"] == refund["amount"];
            assert!(full || refund["amount"].as_i64() < payment["amount"].as_i64());
            assert_eq!(
                payment["refund_status"],
                if full { "full" } else { "partial" }
            );
            assert_eq!(
                payment["status"],
                if full { "refunded" } else { "captured" }
            );
            statuses.insert((name, refund["status"].as_str().unwrap().to_owned()));
        }
    }
    assert!(statuses.contains(&("refund.created", "pending".to_owned())));
    assert!(statuses.contains(&("refund.created", "processed".to_owned())));
}

#[test]
fn a_disputes_evidence_stands_beside_it_where_action_is_required() {
    for (name, status) in [
        ("created", "open"),
        ("under_review", "under_review"),
        ("action_required", "open"),
        ("won", "won"),
        ("lost", "lost"),
        ("closed", "closed"),
    ] {
        for payload in payloads(&format!("payment.dispute.{name}")) {
            let dispute = &payload["dispute"];
            assert_eq!(dispute["entity"]["status"], status);
            assert_eq!(
                dispute["entity"]["payment_id"],
                payload["payment"]["entity"]["id"]
            );
            assert_eq!(dispute["evidence"].is_object(), name == "action_required");
            assert_eq!(
                dispute["entity"]["evidence"].is_object(),
                name != "action_required"
            );
            assert_eq!(
                dispute["entity"]["amount_deducted"] == dispute["entity"]["amount"],
                name == "lost"
            );
        }
    }
}

#[test]
fn links_and_invoices_are_paid_through_their_order() {
    for (name, key, status, order_status) in [
        ("payment_link.paid", "payment_link", "paid", "paid"),
        (
            "payment_link.partially_paid",
            "payment_link",
            "partially_paid",
            "attempted",
        ),
        ("invoice.paid", "invoice", "paid", "paid"),
        (
            "invoice.partially_paid",
            "invoice",
            "partially_paid",
            "attempted",
        ),
    ] {
        for payload in payloads(name) {
            let (of, order, payment) = (
                &payload[key]["entity"],
                &payload["order"]["entity"],
                &payload["payment"]["entity"],
            );
            assert_eq!(of["status"], status);
            assert_eq!(order["status"], order_status);
            assert_eq!(of["order_id"], order["id"]);
            assert_eq!(payment["order_id"], order["id"]);
            assert_eq!(of["amount_paid"], payment["amount"]);
            let (paid, due) = (
                order["amount_paid"].as_i64().unwrap(),
                order["amount_due"].as_i64().unwrap(),
            );
            assert_eq!(order["amount"], paid + due);
            if key == "invoice" {
                assert_eq!(of["payment_id"], payment["id"]);
                assert_eq!(payment["invoice_id"], of["id"]);
            }
        }
    }
}

#[test]
fn a_payment_links_event_carries_the_links_creation_and_zero_for_unset_times() {
    let mut bodies = Bodies::new(1, NOW);
    for (name, set) in [
        ("cancelled", "cancelled_at"),
        ("expired", "expired_at"),
        ("paid", ""),
    ] {
        let body = parsed(&bodies.body(&format!("payment_link.{name}")));
        let link = &body["payload"]["payment_link"]["entity"];
        assert_eq!(body["created_at"], link["created_at"]);
        assert!(body["created_at"].as_i64() < Some(NOW));
        for time in ["cancelled_at", "expired_at"] {
            assert_eq!(
                link[time],
                if time == set { NOW } else { 0 },
                "{name} {time}"
            );
        }
        assert!(link["notes"].is_null());
    }
}

#[test]
fn three_events_carry_their_time_inside_the_payload() {
    let mut bodies = Bodies::new(1, NOW);
    for known in catalogue::typed() {
        let body = parsed(&bodies.body(known.name));
        let inside = [
            "refund.speed_changed",
            "order.notification.delivered",
            "order.notification.failed",
        ];
        if inside.contains(&known.name) {
            assert_eq!(body.get("created_at"), None);
            assert_eq!(body["payload"]["created_at"], NOW);
        } else {
            assert!(body["created_at"].is_i64(), "{}", known.name);
        }
    }
}

#[test]
fn refunds_and_links_are_written_in_alphabetical_order_and_payments_are_not() {
    let mut bodies = Bodies::new(1, NOW);
    for name in ["refund.created", "payment_link.paid"] {
        let body = String::from_utf8(bodies.body(name)).unwrap();
        assert!(body.starts_with(r#"{"account_id":""#), "{body}");
        assert!(body.find(r#""created_at""#) < body.find(r#""event":"#));
    }
    for name in ["payment.captured", "order.paid"] {
        let body = String::from_utf8(bodies.body(name)).unwrap();
        assert!(
            body.starts_with(r#"{"entity":"event","account_id":""#),
            "{body}"
        );
    }
}

#[test]
fn core_reads_every_entity_of_every_body() {
    let mut bodies = Bodies::new(1, NOW);
    for known in EVENTS {
        for _ in 0..VARIANTS {
            let body = bodies.body(known.name);
            let event = harkara_core::event::read(&body)
                .unwrap_or_else(|error| panic!("{}: {error:?}", known.name));
            let payload = &parsed(&body)["payload"];
            let count = payload.as_object().map_or(0, |payload| {
                payload
                    .values()
                    .filter(|value| value["entity"].is_object())
                    .count()
            });
            assert_eq!(event.entities.len(), count, "{}", known.name);
        }
    }
}
