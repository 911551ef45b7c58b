//! Validations of fund accounts.

use super::customer::Customer;
use super::notes::notes;
use super::{Bodies, Envelope, verb};
use crate::json::{Object, object};
use crate::random::Random;

/// The amount that Razorpay transfers to verify a bank account, in paise.
const PENNY_PAISE: i64 = 100;

/// The account to validate.
struct FundAccount {
    kind: &'static str,
    details: Object,
    id: String,
    holder: &'static str,
}

impl FundAccount {
    fn new(random: &mut Random, kind: &'static str) -> Self {
        let holder = Customer::new(random).name;
        let details = if kind == "vpa" {
            let username = random.digits(10);
            let address = format!("{username}@okexample");
            object! { "username": username, "handle": "okexample", "address": address }
        } else {
            let banks = [("Axis Bank", "UTIB0000"), ("Federal Bank", "FDRL0001")];
            let (bank, ifsc) = random.pick(&banks);
            object! {
                "name": holder, "bank_name": bank, "ifsc": format!("{ifsc}{}", random.digits(3)),
                "account_number": random.digits(14),
            }
        };
        Self {
            kind,
            details,
            id: random.id("fa_"),
            holder,
        }
    }

    fn json(&self, random: &mut Random, created_at: i64) -> Object {
        object! {
            "id": self.id, "entity": "fund_account", "contact_id": random.id("cont_"), "account_type": self.kind,
        }
        .with(self.kind, &self.details)
        .and(object! { "batch_id": (), "active": true, "created_at": created_at })
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let completed = verb(name) == "completed";
    let banked = !(completed && random.once_in(3));
    let account = FundAccount::new(random, if banked { "bank_account" } else { "vpa" });
    // Completed says that there is an answer, not that it is a good one.
    let active = completed && !random.once_in(4);
    let results = if completed {
        object! {
            "account_status": if active { "active" } else { "invalid" },
            "registered_name": if active { account.holder } else { "" },
            "details": if active { "The account exists and takes money." } else { "There is no such account." },
            "name_match_score": (active && banked).then(|| random.between(60, 100)),
        }
    } else {
        object! { "account_status": "", "registered_name": "", "details": "null", "name_match_score": () }
    };
    let validation = object! {
        "id": random.id("fav_"),
        "entity": "fund_account.validation",
        "fund_account": account.json(random, now - 60),
        "status": if completed { "completed" } else { "failed" },
        // Nothing is sent to a VPA, so there is no amount.
        "amount": banked.then_some(PENNY_PAISE),
        "currency": banked.then_some("INR"),
        "notes": notes(random),
        "results": results,
        "created_at": now - 2,
        "utr": (banked && completed).then(|| random.digits(12)),
    };
    bodies
        .envelope(name, now)
        .with("fund_account.validation", validation)
}
