use std::collections::HashSet;

use harkara_core::catalogue::{self, EVENTS};
use serde_json::{Map, Value, json};

use super::Bodies;

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

/// A field of an entity, given as `entity/field`.
fn field<'a>(payload: &'a Value, path: &str) -> &'a Value {
    let (entity, field) = path.split_once('/').unwrap();
    let pointer = format!("/{entity}/entity/{field}");
    payload.pointer(&pointer).unwrap_or(&Value::Null)
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 14 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[test]
fn every_event_has_its_entities_and_core_reads_them_all() {
    let mut bodies = Bodies::new(1, NOW);
    for known in EVENTS {
        let name = known.name;
        for _ in 0..VARIANTS {
            let bytes = bodies.body(name);
            let body = parsed(&bytes);
            assert_eq!(body["event"], name);
            let account_id = body["account_id"].as_str().unwrap();
            assert!(is_id(account_id, "acc_"), "{name}: {account_id}");
            let payload = &body["payload"];
            for key in body["contains"].as_array().unwrap() {
                let value = &payload[key.as_str().unwrap()];
                assert!(!value.is_null(), "{name} lacks {key}");
            }
            if let Some(required) = known.required_entity() {
                let id = &payload[required]["entity"]["id"];
                assert!(id.is_string(), "{name} lacks {required}");
            }
            if !known.contains.is_empty() {
                assert_eq!(body["contains"], json!(known.contains), "{name}");
            }
            let event = harkara_core::event::read(&bytes).unwrap();
            let values = payload.as_object().into_iter().flat_map(Map::values);
            let count = values.filter(|value| value["entity"].is_object()).count();
            assert_eq!(event.entities.len(), count, "{name}");
        }
    }
}

#[test]
fn an_undocumented_event_gets_an_entity_of_its_own() {
    let body = parsed(&Bodies::new(1, NOW).body("wallet.balance.low"));
    assert_eq!(body["contains"], json!(["wallet.balance"]));
    assert_eq!(body["payload"]["wallet.balance"]["entity"]["status"], "low");
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_seed_others() {
    let events = |seed| -> Vec<_> {
        let mut bodies = Bodies::new(seed, NOW);
        let events = EVENTS.iter().map(|known| bodies.event(known.name));
        events.collect()
    };
    assert_eq!(events(3), events(3));
    for (a, b) in events(3).iter().zip(events(4)) {
        assert!(a.body != b.body && a.event_id != b.event_id);
    }
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
        for value in body["payload"].as_object().unwrap().values() {
            if let Some(id) = value["entity"]["id"].as_str() {
                assert!(seen.insert(id.to_owned()), "{id} again");
            }
        }
    }
}

#[test]
fn bodies_are_minified_and_about_as_large_as_on_the_wire() {
    let mut bodies = Bodies::new(1, NOW);
    for known in catalogue::typed() {
        let body = String::from_utf8(bodies.body(known.name)).unwrap();
        let is_minified = !body.contains('\n') && !body.contains("\": ");
        assert!(is_minified && !body.contains("\"$"), "{body}");
        assert!((350..4_000).contains(&body.len()), "{body}");
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
    assert!(notes.iter().any(|notes| notes == &json!([])));
    assert!(notes.iter().any(|notes| !notes.to_string().is_ascii()));
}

#[test]
fn entities_have_the_state_that_their_event_announces() {
    let expected = json!({
        "order.paid": {"order/status": "paid", "order/attempts": 1, "order/amount_due": 0},
        "payment_link.paid": {"payment_link/status": "paid", "order/status": "paid"},
        "payment_link.partially_paid": {
            "payment_link/status": "partially_paid", "order/status": "attempted"
        },
        "invoice.paid": {"invoice/status": "paid", "order/status": "paid"},
        "invoice.partially_paid": {"invoice/status": "partially_paid", "order/status": "attempted"},
        "payment.dispute.created": {"dispute/status": "open"},
        "payment.dispute.under_review": {"dispute/status": "under_review"},
        "payment.dispute.action_required": {"dispute/status": "open"},
        "payment.dispute.won": {"dispute/status": "won"},
        "payment.dispute.lost": {"dispute/status": "lost"},
        "payment.dispute.closed": {"dispute/status": "closed"},
        "payment.downtime.started": {"payment.downtime/status": "started"},
        "payment.downtime.updated": {"payment.downtime/status": "updated"},
        "payment.downtime.resolved": {"payment.downtime/status": "resolved"},
        "fund_account.validation.failed": {
            "fund_account.validation/status": "failed", "fund_account.validation/utr": null,
            "fund_account.validation/results/account_status": "",
            "fund_account.validation/results/details": "null"
        },
        "account.instantly_activated": {
            "account/entity": "merchant",
            "account/merchant_detail/activation_status": "instantly_activated"
        },
        "account.activated_kyc_pending": {
            "account/entity": "merchant",
            "account/merchant_detail/activation_status": "activated_kyc_pending"
        }
    });
    for_each_field(&expected, |payload, path, expected| {
        assert_eq!(field(payload, path), expected, "{path} of {payload}");
    });
}

#[test]
fn linked_entities_agree() {
    let same = json!({
        "order.paid": {"payment/order_id": "order/id", "order/amount_paid": "payment/amount"},
        "payment_link.paid": {
            "payment_link/order_id": "order/id", "payment/order_id": "order/id",
            "payment_link/amount_paid": "payment/amount"
        },
        "payment_link.partially_paid": {
            "payment_link/order_id": "order/id", "payment/order_id": "order/id",
            "payment_link/amount_paid": "payment/amount"
        },
        "invoice.paid": {
            "invoice/order_id": "order/id", "payment/order_id": "order/id",
            "invoice/amount_paid": "payment/amount", "invoice/payment_id": "payment/id",
            "payment/invoice_id": "invoice/id"
        },
        "invoice.partially_paid": {
            "invoice/order_id": "order/id", "payment/order_id": "order/id",
            "invoice/amount_paid": "payment/amount", "invoice/payment_id": "payment/id",
            "payment/invoice_id": "invoice/id"
        }
    });
    for_each_field(&same, |payload, path, other| {
        let other = field(payload, other.as_str().unwrap());
        assert!(!other.is_null());
        assert_eq!(field(payload, path), other, "{path} of {payload}");
        let order = |name| field(payload, name).as_i64().unwrap();
        let (paid, due) = (order("order/amount_paid"), order("order/amount_due"));
        assert_eq!(order("order/amount"), paid + due, "{payload}");
    });
}

/// Checks fields, listed by event and by path, in `VARIANTS` payloads of each event.
fn for_each_field(events: &Value, check: impl Fn(&Value, &str, &Value)) {
    for (name, fields) in events.as_object().unwrap() {
        for payload in payloads(name) {
            for (path, value) in fields.as_object().unwrap() {
                check(&payload, path, value);
            }
        }
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
            let (status, refund_status) = if full {
                ("refunded", "full")
            } else {
                ("captured", "partial")
            };
            assert_eq!(payment["status"], status);
            assert_eq!(payment["refund_status"], refund_status);
            statuses.insert((name, refund["status"].as_str().unwrap().to_owned()));
        }
    }
    assert!(statuses.contains(&("refund.created", "pending".to_owned())));
    assert!(statuses.contains(&("refund.created", "processed".to_owned())));
}

#[test]
fn a_disputes_evidence_is_beside_it_if_action_is_required() {
    for known in EVENTS
        .iter()
        .filter(|known| known.family == "payment.dispute")
    {
        let acts = known.name.ends_with("action_required");
        for payload in payloads(known.name) {
            let dispute = &payload["dispute"];
            let entity = &dispute["entity"];
            assert_eq!(entity["payment_id"], payload["payment"]["entity"]["id"]);
            assert_eq!(dispute["evidence"].is_object(), acts);
            assert_eq!(entity["evidence"].is_object(), !acts);
            let is_lost = entity["status"] == "lost";
            assert_eq!(entity["amount_deducted"] == entity["amount"], is_lost);
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
            let expected = if time == set { NOW } else { 0 };
            assert_eq!(link[time], expected, "{name} {time}");
        }
        assert!(link["notes"].is_null());
    }
}

#[test]
fn three_events_carry_their_time_inside_the_payload() {
    let mut bodies = Bodies::new(1, NOW);
    let inside = [
        "refund.speed_changed",
        "order.notification.delivered",
        "order.notification.failed",
    ];
    for known in catalogue::typed() {
        let body = parsed(&bodies.body(known.name));
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
        let start = r#"{"entity":"event","account_id":""#;
        assert!(body.starts_with(start), "{body}");
    }
}

#[test]
fn an_accounts_entity_has_no_prefix_and_its_envelope_has() {
    for name in [
        "account.instantly_activated",
        "account.activated_kyc_pending",
    ] {
        let body = parsed(&Bodies::new(1, NOW).body(name));
        let id = field(&body["payload"], "account/id").as_str().unwrap();
        assert_eq!(body["account_id"], format!("acc_{id}"));
    }
}

#[test]
fn a_completed_validation_says_whether_the_account_is_active() {
    let completed = payloads("fund_account.validation.completed");
    for status in ["active", "invalid"] {
        let path = "fund_account.validation/results/account_status";
        assert!(
            completed
                .iter()
                .any(|payload| field(payload, path) == status)
        );
    }
}

#[test]
fn a_downtime_ends_when_it_is_resolved_and_names_its_instrument() {
    for (name, ended) in [("started", false), ("updated", false), ("resolved", true)] {
        for payload in payloads(&format!("payment.downtime.{name}")) {
            let downtime = &payload["payment.downtime"]["entity"];
            assert_eq!(downtime["end"].is_i64(), ended);
            for key in downtime["instrument_schema"].as_array().unwrap() {
                assert!(downtime["instrument"][key.as_str().unwrap()].is_string());
            }
        }
    }
}
