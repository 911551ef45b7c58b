//! The events without tables of their own: enough of each entity to be plausible.

use std::collections::HashMap;
use std::sync::LazyLock;

use harkara_core::catalogue;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::notes::notes;
use super::{Bodies, Envelope, Purchase, SimulatedPayment, verb};
use crate::json::{EMPTY_LIST, Object, encode, fill, object};
use crate::random::Random;

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let account_id = bodies.account_id().to_owned();
    let Purchase { order, payment } = Purchase::captured(bodies.random(), now);
    let mut envelope = bodies.envelope(name, now);
    for key in keys(name) {
        let random = bodies.random();
        envelope = match key {
            "payment" => envelope.with(key, payment.json()),
            "order" => envelope.with(key, &order),
            "bank_transfer" => envelope.with(key, bank_transfer(random, &payment)),
            "merchant_product" => {
                envelope.with_value(key, merchant_product(random, &account_id, verb(name)))
            }
            "accounts" => {
                let account = object! { "account_number": random.digits(16), "ifsc": "RATN0VAAPIS", "status": "activated" };
                envelope.with_value(key, object! { "virtual": account, "current": EMPTY_LIST })
            }
            _ => {
                let entity = entity(random, key, verb(name), now);
                envelope.with(key, entity)
            }
        };
    }
    envelope
}

/// The payload keys of an event: as documented, else the entity of its family, else, for an undocumented
/// name, all but its last part.
fn keys(name: &str) -> Vec<&str> {
    let Some(spec) = catalogue::find(name) else {
        let subject = name.rsplit_once('.').map_or(name, |(subject, _)| subject);
        return vec![subject];
    };
    match spec.family {
        _ if !spec.contains.is_empty() => spec.contains.to_vec(),
        "zapier" | "shiprocket" => vec!["payment", "order"],
        "token.service_provider" => vec!["service_provider_token", "token"],
        family if family.starts_with("product.") => vec!["merchant_product"],
        family => vec![catalogue::primary_entity(family)],
    }
}

/// One kind of entity in `entities.json`.
#[derive(Deserialize)]
struct EntityTemplate {
    /// What its ids begin with.
    prefix: String,
    /// The template of the fields that only this kind has.
    fields: Box<RawValue>,
}

static TEMPLATES: LazyLock<HashMap<String, EntityTemplate>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("others/entities.json")).expect("it holds templates")
});

/// The fields of every entity, with those of its kind between.
fn entity(random: &mut Random, key: &str, verb: &str, now: i64) -> Object {
    let kind = if key == "transfers" { "transfer" } else { key };
    let template = TEMPLATES.get(kind).unwrap_or(&TEMPLATES[""]);
    let created_at = now - random.between(60, 86_400);
    let common = object! { "id": random.id(&template.prefix), "entity": key };
    let amount = random.between(100, 5_000_000);
    let own_fields = fill(template.fields.get(), |value| match value.split_once(' ') {
        Some(("id", prefix)) => encode(random.id(prefix)),
        Some(("digits", count)) => encode(random.digits(count.parse().expect("a number"))),
        Some(("now", seconds)) => encode(now + seconds.parse::<i64>().expect("a number")),
        _ => match value {
            "amount" => encode(amount),
            "verb" => encode(verb),
            "status" => encode(status(kind, verb)),
            "utr" => encode(random.capitals(6) + &random.digits(10)),
            "now" => encode(now),
            "closed_at" => encode((verb == "closed").then_some(now)),
            other => panic!("the templates have no value {other}"),
        },
    });
    common
        .and(own_fields)
        .and(object! { "notes": notes(random), "created_at": created_at })
}

/// The status of entities that do not just name what has happened.
fn status<'a>(kind: &str, verb: &'a str) -> &'a str {
    match (kind, verb) {
        ("payout", "initiated" | "updated") => "processing",
        ("subscription", "activated" | "charged" | "updated" | "resumed") => "active",
        ("payout" | "subscription", _) | (_, "closed") => verb,
        _ => "active",
    }
}

fn bank_transfer(random: &mut Random, payment: &SimulatedPayment) -> Object {
    object! {
        "id": random.id("bt_"), "entity": "bank_transfer", "payment_id": payment.id, "mode": "NEFT",
        "bank_reference": random.digits(12), "amount": payment.amount, "virtual_account_id": random.id("va_"),
    }
}

/// A product's state, with its open requirements beside the entity: an object, or an empty list.
fn merchant_product(random: &mut Random, account_id: &str, verb: &str) -> Object {
    let product = object! {
        "entity": object! {
            "id": random.id("acc_prd_"), "merchant_id": account_id, "activation_status": verb,
        },
    };
    if verb == "needs_clarification" {
        let requirement =
            object! { "field_reference": "settlements.ifsc_code", "status": "required" };
        product.with("data", object! { "requirements": [requirement] })
    } else {
        product.with("data", EMPTY_LIST)
    }
}
