//! The events without tables of their own: enough of each entity to be plausible.

use std::borrow::Cow;

use harkara_core::catalogue::{self, EventSpec};

use super::notes::notes;
use super::{Bodies, Envelope, Purchase, verb};
use crate::json::{Json, list, object};
use crate::random::Random;

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let account_id = bodies.account_id().to_owned();
    let mut purchase = Purchase::new(bodies.random(), now);
    purchase.capture();
    let mut envelope = bodies.envelope(name, now);
    for key in keys(name) {
        let random = bodies.random();
        envelope = match key.as_ref() {
            "payment" => envelope.with(key, purchase.payment.json()),
            "order" => envelope.with(key, purchase.order.json()),
            "bank_transfer" => envelope.with(key, bank_transfer(random, &purchase)),
            "merchant_product" => {
                envelope.with_value(key, merchant_product(random, &account_id, verb(name)))
            }
            "accounts" => {
                let account = object! { "account_number": random.digits(16), "ifsc": "RATN0VAAPIS", "status": "activated" };
                envelope.with_value(key, object! { "virtual": account, "current": list![] })
            }
            _ => {
                let entity = entity(random, &key, verb(name), now);
                envelope.with(key, entity)
            }
        };
    }
    envelope
}

/// The payload keys of an event: as documented, else what its family is about, else, for a name
/// that nobody has documented, all but its last part.
fn keys(name: &str) -> Vec<Cow<'static, str>> {
    match catalogue::find(name) {
        Some(EventSpec { contains, .. }) if !contains.is_empty() => {
            contains.iter().map(|&key| key.into()).collect()
        }
        Some(EventSpec {
            family: "zapier" | "shiprocket",
            ..
        }) => vec!["payment".into(), "order".into()],
        Some(EventSpec {
            family: "token.service_provider",
            ..
        }) => vec!["service_provider_token".into(), "token".into()],
        Some(EventSpec { family, .. }) if family.starts_with("product.") => {
            vec!["merchant_product".into()]
        }
        Some(EventSpec { family, .. }) => vec![catalogue::primary_entity(family).into()],
        None => {
            let subject = name.rsplit_once('.').map_or(name, |(subject, _)| subject);
            vec![Cow::Owned(subject.to_owned())]
        }
    }
}

/// What every entity has, with the fields of its kind between.
fn entity(random: &mut Random, key: &str, verb: &str, now: i64) -> Json {
    let created_at = now - random.between(60, 86_400);
    object! { "id": random.id(prefix(key)), "entity": key.to_owned() }
        .and(own_fields(random, key, verb, now))
        .and(object! { "notes": notes(random), "created_at": created_at })
}

fn prefix(key: &str) -> &'static str {
    match key {
        "customer" => "cust_",
        "payout" => "pout_",
        "payout.downtime" => "poutdown_",
        "payout_link" => "poutlk_",
        "qr_code" => "qr_",
        "service_provider_token" => "spt_",
        "settlement" => "setl_",
        "subscription" => "sub_",
        "token" => "token_",
        "transaction" => "txn_",
        "transfer" | "transfers" => "trf_",
        "virtual_account" => "va_",
        _ => "",
    }
}

fn own_fields(random: &mut Random, key: &str, verb: &str, now: i64) -> Json {
    let amount = random.between(100, 5_000_000);
    let verb = verb.to_owned();
    match key {
        "payout" => object! {
            "fund_account_id": random.id("fa_"), "amount": amount, "currency": "INR", "fees": 590, "tax": 90,
            "status": if matches!(verb.as_str(), "initiated" | "updated") { "processing".to_owned() } else { verb },
            "purpose": "payout", "mode": "IMPS", "utr": random.digits(12), "reference_id": Json::Null,
        },
        "payout_link" => object! {
            "contact_id": random.id("cont_"), "amount": amount, "currency": "INR", "status": verb, "purpose": "refund",
            "short_url": "https://rzp.io/i/pl", "expire_by": now + 86_400, "cancelled_at": Json::Null,
        },
        "payout.downtime" => object! {
            "status": verb, "method": list!["NEFT"], "instrument": object! { "bank": "UTIB" }, "scheduled": false,
            "source": "beneficiary", "begin": now - 60, "end": Json::Null, "updated_at": now,
        },
        "settlement" => object! {
            "amount": amount, "status": verb, "fees": 0, "tax": 0, "utr": format!("{}{}", random.capitals(6), random.digits(10)),
        },
        "subscription" => object! {
            "plan_id": random.id("plan_"), "customer_id": random.id("cust_"), "status": subscription_status(&verb),
            "quantity": 1, "total_count": 12, "paid_count": 3, "remaining_count": 9,
            "current_start": now, "current_end": now + 30 * 86_400, "ended_at": Json::Null,
        },
        "token" => object! {
            "method": "card", "status": &verb, "recurring": true, "expired_at": now + 1_000 * 86_400,
            "recurring_details": object! { "status": verb, "failure_reason": Json::Null }, "max_amount": amount,
        },
        "service_provider_token" => object! {
            "provider_type": "network", "provider_name": "Visa", "interoperable": true, "status": verb,
            "provider_data": object! { "token_reference_number": random.digits(16), "token_expiry_year": 2031 },
        },
        "transfer" | "transfers" => object! {
            "status": verb, "source": random.id("order_"), "recipient": random.id("acc_"), "amount": amount,
            "currency": "INR", "amount_reversed": 0, "fees": 1, "tax": 0, "on_hold": false, "processed_at": now,
        },
        "transaction" => object! {
            "account_number": random.digits(16), "amount": amount, "currency": "INR", "credit": amount, "debit": 0,
            "balance": amount,
        },
        "qr_code" => object! {
            "name": "Counter 2", "usage": "multiple_use", "type": "upi_qr", "payment_amount": Json::Null,
            "status": if verb == "closed" { "closed" } else { "active" }, "payments_count_received": 1,
            "close_by": now + 86_400, "closed_at": (verb == "closed").then_some(now),
        },
        "virtual_account" => object! {
            "name": "Blue Lotus Books", "status": if verb == "closed" { "closed" } else { "active" },
            "amount_expected": Json::Null, "amount_paid": amount, "customer_id": random.id("cust_"),
            "closed_at": (verb == "closed").then_some(now),
        },
        _ => object! { "status": verb, "updated_at": now },
    }
}

fn subscription_status(verb: &str) -> String {
    match verb {
        "activated" | "charged" | "updated" | "resumed" => "active".to_owned(),
        other => other.to_owned(),
    }
}

fn bank_transfer(random: &mut Random, purchase: &Purchase) -> Json {
    object! {
        "id": random.id("bt_"), "entity": "bank_transfer", "payment_id": &purchase.payment.id, "mode": "NEFT",
        "bank_reference": random.digits(12), "amount": purchase.payment.amount, "virtual_account_id": random.id("va_"),
    }
}

/// A product's state, with what it still needs beside the entity: an object, or a list where there is nothing.
fn merchant_product(random: &mut Random, account_id: &str, verb: &str) -> Json {
    let data = if verb == "needs_clarification" {
        object! { "requirements": list![object! { "field_reference": "settlements.ifsc_code", "status": "required" }] }
    } else {
        list![]
    };
    object! {
        "entity": object! {
            "id": random.id("acc_prd_"), "merchant_id": account_id.to_owned(), "activation_status": verb.to_owned(),
        },
        "data": data,
    }
}
