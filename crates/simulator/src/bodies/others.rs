//! The events without tables of their own: enough of each entity to be plausible.

use std::borrow::Cow;

use harkara_core::catalogue;

use super::notes::notes;
use super::{Bodies, Envelope, Purchase, SimulatedPayment, verb};
use crate::json::{EMPTY_LIST, Object, object};
use crate::random::Random;

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let account_id = bodies.account_id().to_owned();
    let Purchase { order, payment } = Purchase::captured(bodies.random(), now);
    let mut envelope = bodies.envelope(name, now);
    for key in keys(name) {
        let random = bodies.random();
        envelope = match key.as_ref() {
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
                let entity = entity(random, &key, verb(name), now);
                envelope.with(key, entity)
            }
        };
    }
    envelope
}

/// The payload keys of an event: as documented, else the entity of its family, else, for an undocumented
/// name, all but its last part.
fn keys(name: &str) -> Vec<Cow<'static, str>> {
    let Some(spec) = catalogue::find(name) else {
        let subject = name.rsplit_once('.').map_or(name, |(subject, _)| subject);
        return vec![subject.to_owned().into()];
    };
    let keys = match spec.family {
        _ if !spec.contains.is_empty() => spec.contains.to_vec(),
        "zapier" | "shiprocket" => vec!["payment", "order"],
        "token.service_provider" => vec!["service_provider_token", "token"],
        family if family.starts_with("product.") => vec!["merchant_product"],
        family => vec![catalogue::primary_entity(family)],
    };
    keys.into_iter().map(Cow::Borrowed).collect()
}

/// The fields of every entity, with those of its kind between.
fn entity(random: &mut Random, key: &str, verb: &str, now: i64) -> Object {
    let created_at = now - random.between(60, 86_400);
    object! { "id": random.id(prefix(key)), "entity": key }
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

fn own_fields(random: &mut Random, key: &str, verb: &str, now: i64) -> Object {
    let amount = random.between(100, 5_000_000);
    let closed_at = (verb == "closed").then_some(now);
    match key {
        "payout" => object! {
            "fund_account_id": random.id("fa_"), "amount": amount, "currency": "INR", "fees": 590, "tax": 90,
            "status": if matches!(verb, "initiated" | "updated") { "processing" } else { verb },
            "purpose": "payout", "mode": "IMPS", "utr": random.digits(12), "reference_id": (),
        },
        "payout_link" => object! {
            "contact_id": random.id("cont_"), "amount": amount, "currency": "INR", "status": verb, "purpose": "refund",
            "short_url": "https://rzp.io/i/pl", "expire_by": now + 86_400, "cancelled_at": (),
        },
        "payout.downtime" => object! {
            "status": verb, "method": ["NEFT"], "instrument": object! { "bank": "UTIB" }, "scheduled": false,
            "source": "beneficiary", "begin": now - 60, "end": (), "updated_at": now,
        },
        "settlement" => object! {
            "amount": amount, "status": verb, "fees": 0, "tax": 0, "utr": format!("{}{}", random.capitals(6), random.digits(10)),
        },
        "subscription" => object! {
            "plan_id": random.id("plan_"), "customer_id": random.id("cust_"), "status": subscription_status(verb),
            "quantity": 1, "total_count": 12, "paid_count": 3, "remaining_count": 9,
            "current_start": now, "current_end": now + 30 * 86_400, "ended_at": (),
        },
        "token" => object! {
            "method": "card", "status": verb, "recurring": true, "expired_at": now + 1_000 * 86_400,
            "recurring_details": object! { "status": verb, "failure_reason": () }, "max_amount": amount,
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
            "name": "Counter 2", "usage": "multiple_use", "type": "upi_qr", "payment_amount": (),
            "status": if verb == "closed" { "closed" } else { "active" }, "payments_count_received": 1,
            "close_by": now + 86_400, "closed_at": closed_at,
        },
        "virtual_account" => object! {
            "name": "Blue Lotus Books", "status": if verb == "closed" { "closed" } else { "active" },
            "amount_expected": (), "amount_paid": amount, "customer_id": random.id("cust_"),
            "closed_at": closed_at,
        },
        _ => object! { "status": verb, "updated_at": now },
    }
}

fn subscription_status(verb: &str) -> &str {
    match verb {
        "activated" | "charged" | "updated" | "resumed" => "active",
        other => other,
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
