//! Unusual bodies: seen from Razorpay, or possible for anybody with the secret.
//!
//! A receiver must answer 200 to each and keep it; whether it can be projected is up to the receiver.

use serde_json::{Value, json};

use crate::bodies::Bodies;

/// An unusual body.
#[derive(Clone, Copy)]
pub struct EdgeCase {
    /// Says what is unusual, such as `captured_is_a_text`.
    pub name: &'static str,
    /// The body's `event`, if it has one.
    pub event: Option<&'static str>,
    source: BodySource,
}

#[derive(Clone, Copy)]
enum BodySource {
    /// An event's usual body, which is unusual enough.
    Documented(&'static str),
    /// An event's usual body with a change.
    Changed(&'static str, fn(&mut Value)),
    Raw(fn(&mut Bodies) -> Vec<u8>),
}

impl EdgeCase {
    /// The body, with fresh ids.
    #[must_use]
    pub fn body(&self, bodies: &mut Bodies) -> Vec<u8> {
        match self.source {
            BodySource::Documented(event_name) => bodies.body(event_name),
            BodySource::Changed(event_name, change) => {
                let body = bodies.body(event_name);
                let mut body = serde_json::from_slice(&body).expect("usual bodies are JSON");
                change(&mut body);
                body.to_string().into_bytes()
            }
            BodySource::Raw(make) => make(bodies),
        }
    }
}

/// An event's usual body with a value set in one of its objects.
macro_rules! with {
    ($name:literal, $event:expr, $object:literal, $field:literal: $($json:tt)+) => {
        changed($name, $event, |body| {
            let object = body.pointer_mut($object).expect("the object exists");
            object[$field] = json!($($json)+);
        })
    };
}

/// An event's usual body without a field of one of its objects.
macro_rules! without {
    ($name:literal, $event:expr, $object:literal, $field:literal) => {
        changed($name, $event, |body| {
            remove(
                body.pointer_mut($object).expect("the object exists"),
                $field,
            );
        })
    };
}

/// Every edge case.
pub const ALL: &[EdgeCase] = &[
    with!("notes_are_null", CAPTURED, "/payload/payment/entity", "notes": null),
    with!("notes_are_an_empty_list", CAPTURED, "/payload/payment/entity", "notes": []),
    with!("notes_are_an_empty_object", CAPTURED, "/payload/payment/entity", "notes": {}),
    with!("captured_is_a_text", CAPTURED, "/payload/payment/entity", "captured": "1"),
    with!("error_code_is_an_empty_text", CAPTURED, "/payload/payment/entity", "error_code": ""),
    with!("description_has_a_nul", CAPTURED, "/payload/payment/entity", "description": "a\0b"),
    with!("payment_has_no_order", CAPTURED, "/payload/payment/entity", "order_id": null),
    changed(
        "older_payment_without_error_fields",
        CAPTURED,
        older_payment,
    ),
    changed("amount_is_zero", "order.paid", amount_is_zero),
    with!("offers_are_an_empty_object", "payment_link.paid", "/payload/order/entity", "offers": {}),
    with!("offers_are_a_list_of_ids", "order.paid", "/payload/order/entity", "offers": ["offer_Cu9GEpAhlUqOFm"]),
    changed("order_id_has_no_prefix", "payment_link.paid", bare_order_id),
    without!("created_at_is_missing", CAPTURED, "", "created_at"),
    changed("created_at_is_inside_the_payload", "order.paid", |body| {
        body["payload"]["created_at"] = remove(body, "created_at");
    }),
    without!(
        "account_id_is_missing",
        "refund.processed",
        "",
        "account_id"
    ),
    with!("contains_leaves_out_what_is_there", "order.paid", "", "contains": ["order"]),
    with!("contains_names_what_is_not_there", CAPTURED, "", "contains": ["payment", "order"]),
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
    with!("required_entity_is_missing", CAPTURED, "", "payload": {}),
    without!(
        "required_entity_has_no_id",
        CAPTURED,
        "/payload/payment/entity",
        "id"
    ),
    EdgeCase {
        event: None,
        ..without!("object_without_event", CAPTURED, "", "event")
    },
    eventless("json_list", BodySource::Raw(|_| b"[]".to_vec())),
    eventless("json_cut_off", BodySource::Raw(cut_off)),
    eventless("not_json", BodySource::Raw(not_json)),
    eventless(
        "not_utf8",
        BodySource::Raw(|_| vec![0xff, 0xfe, 0x7b, 0x7d]),
    ),
    eventless("empty", BodySource::Raw(|_| Vec::new())),
];

const CAPTURED: &str = "payment.captured";

const fn edge_case(name: &'static str, event: &'static str, source: BodySource) -> EdgeCase {
    EdgeCase {
        name,
        event: Some(event),
        source,
    }
}

const fn changed(name: &'static str, event: &'static str, change: fn(&mut Value)) -> EdgeCase {
    edge_case(name, event, BodySource::Changed(event, change))
}

const fn as_documented(name: &'static str, event: &'static str) -> EdgeCase {
    edge_case(name, event, BodySource::Documented(event))
}

const fn eventless(name: &'static str, source: BodySource) -> EdgeCase {
    EdgeCase {
        name,
        event: None,
        source,
    }
}

fn payment(body: &mut Value) -> &mut Value {
    &mut body["payload"]["payment"]["entity"]
}

fn order(body: &mut Value) -> &mut Value {
    &mut body["payload"]["order"]["entity"]
}

fn remove(object: &mut Value, field: &str) -> Value {
    let fields = object.as_object_mut().expect("an object");
    fields.remove(field).expect("the field exists")
}

/// A payment of before Razorpay added these fields.
fn older_payment(body: &mut Value) {
    for field in [
        "error_source",
        "error_step",
        "error_reason",
        "acquirer_data",
        "notes",
    ] {
        remove(payment(body), field);
    }
}

/// An order for nothing, paid by a payment of nothing, as when a mandate is authorized.
fn amount_is_zero(body: &mut Value) {
    for field in ["amount", "base_amount", "fee", "tax"] {
        payment(body)[field] = 0.into();
    }
    for field in ["amount", "amount_paid"] {
        order(body)[field] = 0.into();
    }
}

/// The order of a payment link as in Razorpay's own examples: a bare id and no `entity`.
fn bare_order_id(body: &mut Value) {
    let order = order(body);
    remove(order, "entity");
    let bare_id = order["id"]
        .as_str()
        .and_then(|id| id.strip_prefix("order_"));
    order["id"] = bare_id.into();
}

fn cut_off(bodies: &mut Bodies) -> Vec<u8> {
    let mut body = bodies.body(CAPTURED);
    body.truncate(body.len() / 2);
    body
}

fn not_json(bodies: &mut Bodies) -> Vec<u8> {
    format!("ref={}&status=paid", bodies.random().id("pay_")).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::ALL;
    use crate::Bodies;

    fn body(name: &str) -> Vec<u8> {
        let case = ALL.iter().find(|case| case.name == name).unwrap();
        case.body(&mut Bodies::new(5, 1_790_000_000))
    }

    #[test]
    fn each_edge_case_has_its_event_and_a_unique_name() {
        let mut bodies = Bodies::new(5, 1_790_000_000);
        let mut names = HashSet::new();
        for case in ALL {
            let body: Option<Value> = serde_json::from_slice(&case.body(&mut bodies)).ok();
            let event = body.as_ref().and_then(|body| body.get("event"));
            assert_eq!(event.and_then(Value::as_str), case.event, "{}", case.name);
            assert!(names.insert(case.name), "{}", case.name);
        }
    }

    #[test]
    fn an_order_without_prefix_is_still_the_payments_order() {
        let body: Value = serde_json::from_slice(&body("order_id_has_no_prefix")).unwrap();
        let order = &body["payload"]["order"]["entity"];
        let order_id = format!("order_{}", order["id"].as_str().unwrap());
        assert_eq!(body["payload"]["payment"]["entity"]["order_id"], order_id);
        assert_eq!(order.get("entity"), None);
    }

    #[test]
    fn a_nul_is_written_as_its_escape() {
        let body = String::from_utf8(body("description_has_a_nul")).unwrap();
        assert!(body.contains(r"a\u0000b"));
    }
}
