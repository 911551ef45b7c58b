//! Strange bodies that have been seen, or that anybody with the secret could send.
//!
//! Everything here is a body that a receiver must answer 200 and keep; whether it can be projected
//! is the receiver's to say.

use crate::bodies::Bodies;
use crate::json::{Json, list, object};

/// A strange body, by name.
#[derive(Clone, Copy)]
pub struct Oddity {
    /// What is strange about it, such as `captured_is_a_text`.
    pub name: &'static str,
    /// The name that stands in its `event`; `None` where there is no such key.
    pub event: Option<&'static str>,
    make: Source,
}

type Make = fn(&mut Bodies) -> Vec<u8>;

#[derive(Clone, Copy)]
enum Source {
    /// The event's usual body, which is strange enough.
    Documented,
    Changed(Make),
}

impl Oddity {
    /// The body, with fresh ids.
    #[must_use]
    pub fn body(&self, bodies: &mut Bodies) -> Vec<u8> {
        match self.make {
            Source::Documented => bodies.body(self.event.unwrap_or_default()),
            Source::Changed(make) => make(bodies),
        }
    }
}

/// The strange body of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Oddity> {
    ALL.iter().find(|oddity| oddity.name == name)
}

/// Every strange body.
pub const ALL: &[Oddity] = &[
    odd("notes_are_null", CAPTURED, |b| {
        captured(b, "notes", Json::Null)
    }),
    odd("notes_are_an_empty_list", CAPTURED, |b| {
        captured(b, "notes", list![])
    }),
    odd("notes_are_an_empty_object", CAPTURED, |b| {
        captured(b, "notes", object! {})
    }),
    odd("captured_is_a_text", CAPTURED, |b| {
        captured(b, "captured", "1")
    }),
    odd("error_code_is_an_empty_text", CAPTURED, |b| {
        captured(b, "error_code", "")
    }),
    odd("description_has_a_nul", CAPTURED, |b| {
        captured(b, "description", "before\0after")
    }),
    odd("payment_has_no_order", CAPTURED, |b| {
        captured(b, "order_id", Json::Null)
    }),
    odd("older_payment_without_error_fields", CAPTURED, |b| {
        captured_without(
            b,
            &[
                "error_source",
                "error_step",
                "error_reason",
                "acquirer_data",
                "notes",
            ],
        )
    }),
    odd("amount_is_zero", "order.paid", amount_is_zero),
    odd("offers_are_an_empty_object", "payment_link.paid", |b| {
        changed(
            b,
            "payment_link.paid",
            &["payload", "order", "entity", "offers"],
            object! {},
        )
    }),
    odd("offers_are_a_list_of_ids", "order.paid", |b| {
        let id = b.random().id("offer_");
        changed(
            b,
            "order.paid",
            &["payload", "order", "entity", "offers"],
            list![id],
        )
    }),
    odd(
        "order_id_has_no_prefix",
        "payment_link.paid",
        order_id_has_no_prefix,
    ),
    odd("created_at_is_missing", CAPTURED, |b| {
        without(b, CAPTURED, &[], &["created_at"])
    }),
    odd("created_at_is_inside_the_payload", "order.paid", |b| {
        b.envelope_of("order.paid")
            .with_time_inside_payload()
            .bytes()
    }),
    odd("account_id_is_missing", "refund.processed", |b| {
        without(b, "refund.processed", &[], &["account_id"])
    }),
    odd("contains_leaves_out_what_is_there", "order.paid", |b| {
        changed(b, "order.paid", &["contains"], list!["order"])
    }),
    odd("contains_names_what_is_not_there", CAPTURED, |b| {
        changed(b, CAPTURED, &["contains"], list!["payment", "order"])
    }),
    as_documented("payload_is_missing", "account.app.authorization_revoked"),
    as_documented(
        "payload_values_are_scalars",
        "account.instant_activation_gmv_limit_warning",
    ),
    as_documented(
        "data_stands_beside_the_entity",
        "product.route.needs_clarification",
    ),
    as_documented("payload_values_have_no_entity", "banking_accounts.issued"),
    as_documented("name_is_not_documented", "wallet.topped_up"),
    odd("required_entity_is_missing", CAPTURED, |b| {
        changed(b, CAPTURED, &["payload"], object! {})
    }),
    odd("required_entity_has_no_id", CAPTURED, |b| {
        captured_without(b, &["id"])
    }),
    eventless("object_without_event", |b| {
        without(b, CAPTURED, &[], &["event"])
    }),
    eventless("json_list", |_| b"[]".to_vec()),
    eventless("json_cut_off", |b| {
        let mut body = b.body(CAPTURED);
        body.truncate(body.len() / 2);
        body
    }),
    eventless("not_json", |b| {
        format!("ref={}&status=paid", b.random().id("pay_")).into_bytes()
    }),
    eventless("not_utf8", |_| vec![0xff, 0xfe, 0x7b, 0x7d]),
    eventless("empty", |_| Vec::new()),
];

const CAPTURED: &str = "payment.captured";

const fn odd(name: &'static str, event: &'static str, make: Make) -> Oddity {
    Oddity {
        name,
        event: Some(event),
        make: Source::Changed(make),
    }
}

const fn as_documented(name: &'static str, event: &'static str) -> Oddity {
    Oddity {
        name,
        event: Some(event),
        make: Source::Documented,
    }
}

const fn eventless(name: &'static str, make: Make) -> Oddity {
    Oddity {
        name,
        event: None,
        make: Source::Changed(make),
    }
}

/// A good body with the value at a path replaced.
fn changed(
    bodies: &mut Bodies,
    event_name: &str,
    path: &[&'static str],
    value: impl Into<Json>,
) -> Vec<u8> {
    let envelope = bodies.envelope_of(event_name);
    let mut tree = envelope.tree();
    tree.set(path, value);
    envelope.encoder().encode(&tree)
}

/// A good body without some keys of the object at a path.
fn without(bodies: &mut Bodies, event_name: &str, path: &[&str], keys: &[&str]) -> Vec<u8> {
    let envelope = bodies.envelope_of(event_name);
    let mut tree = envelope.tree();
    tree.remove(path, keys);
    envelope.encoder().encode(&tree)
}

/// A captured payment with another value in one of its fields.
fn captured(bodies: &mut Bodies, field: &'static str, value: impl Into<Json>) -> Vec<u8> {
    changed(
        bodies,
        CAPTURED,
        &["payload", "payment", "entity", field],
        value,
    )
}

fn captured_without(bodies: &mut Bodies, fields: &[&str]) -> Vec<u8> {
    without(bodies, CAPTURED, &["payload", "payment", "entity"], fields)
}

/// An order for nothing, paid by a payment of nothing, as when a mandate is given.
fn amount_is_zero(bodies: &mut Bodies) -> Vec<u8> {
    let envelope = bodies.envelope_of("order.paid");
    let mut tree = envelope.tree();
    for field in ["amount", "base_amount", "fee", "tax"] {
        tree.set(&["payload", "payment", "entity", field], 0);
    }
    for field in ["amount", "amount_paid"] {
        tree.set(&["payload", "order", "entity", field], 0);
    }
    envelope.encoder().encode(&tree)
}

/// The order of a payment link as Razorpay's own examples show it: a bare id and no `entity`.
fn order_id_has_no_prefix(bodies: &mut Bodies) -> Vec<u8> {
    let envelope = bodies.envelope_of("payment_link.paid");
    let bare_id = bodies.random().bare_id();
    let mut tree = envelope.tree();
    tree.remove(&["payload", "order", "entity"], &["entity"]);
    tree.set(&["payload", "order", "entity", "id"], &bare_id);
    for holder in ["payment", "payment_link"] {
        tree.set(
            &["payload", holder, "entity", "order_id"],
            format!("order_{bare_id}"),
        );
    }
    envelope.encoder().encode(&tree)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::{ALL, find};
    use crate::Bodies;

    #[test]
    fn each_oddity_carries_the_event_that_it_announces() {
        let mut bodies = Bodies::new(5, 1_790_000_000);
        for oddity in ALL {
            let body = oddity.body(&mut bodies);
            let parsed: Option<Value> = serde_json::from_slice(&body).ok();
            let event = parsed
                .as_ref()
                .and_then(|value| value.get("event"))
                .and_then(Value::as_str);
            assert_eq!(event, oddity.event, "{}", oddity.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = ALL.iter().map(|oddity| oddity.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn an_order_without_prefix_is_still_the_payments_order() {
        let body = find("order_id_has_no_prefix")
            .unwrap()
            .body(&mut Bodies::new(5, 1_790_000_000));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let order_id = body["payload"]["order"]["entity"]["id"].as_str().unwrap();
        assert_eq!(
            body["payload"]["payment"]["entity"]["order_id"],
            format!("order_{order_id}")
        );
        assert_eq!(body["payload"]["order"]["entity"].get("entity"), None);
    }

    #[test]
    fn a_nul_is_written_as_its_escape() {
        let body = find("description_has_a_nul")
            .unwrap()
            .body(&mut Bodies::new(5, 1_790_000_000));
        assert!(
            String::from_utf8(body)
                .unwrap()
                .contains(r"before\u0000after")
        );
    }
}
