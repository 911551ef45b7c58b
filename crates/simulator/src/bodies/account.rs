//! Accounts of a partner's merchants.

use serde::Serialize;

use super::customer::Customer;
use super::{Bodies, Envelope, verb};
use crate::json::Object;
use crate::random::Random;

/// A merchant's account as it is at one moment.
#[derive(Serialize)]
pub(crate) struct SimulatedAccount {
    pub(crate) activation_status: Option<String>,
    pub(crate) updated_at: i64,
    bare_id: String,
    live: bool,
    hold_funds: bool,
    suspended_at: Option<i64>,
    created_at: i64,
    #[serde(flatten)]
    owner: Customer,
    business: &'static str,
    pan: String,
    bank_account_number: String,
}

/// How long onboarding has been going on when something happens.
const ONBOARDING_SECONDS: i64 = 3 * 86_400;

impl SimulatedAccount {
    pub(crate) fn new(random: &mut Random, at: i64) -> Self {
        Self {
            activation_status: None,
            updated_at: at,
            bare_id: random.bare_id(),
            live: true,
            hold_funds: false,
            suspended_at: None,
            created_at: at - ONBOARDING_SECONDS,
            owner: Customer::new(random),
            business: random.pick(&["Nandi Textiles", "Blue Lotus Books", "मसाला घर"]),
            pan: format!(
                "{}P{}{}{}",
                random.capitals(3),
                random.capitals(1),
                random.digits(4),
                random.capitals(1)
            ),
            bank_account_number: random.digits(14),
        }
    }

    /// The account's id as the envelope has it.
    pub(crate) fn account_id(&self) -> String {
        format!("acc_{}", self.bare_id)
    }

    fn next_statuses(&self) -> &'static [&'static str] {
        match self.activation_status.as_deref() {
            Some("instantly_activated") => &["under_review", "activated", "activated_mcc_pending"],
            Some("under_review") => &[
                "needs_clarification",
                "activated",
                "rejected",
                "activated_mcc_pending",
                "activated_kyc_pending",
            ],
            Some("needs_clarification" | "rejected") => &["under_review"],
            _ => &[],
        }
    }

    /// The entity as Razorpay writes it: its id without `acc_`, and called a merchant.
    pub(crate) fn json(&self) -> Object {
        let submitted_at = self.created_at + 120;
        self.values()
            .with("mobile", self.owner.contact.trim_start_matches("+91"))
            .with("activated_at", self.live.then_some(submitted_at))
            .with("submitted_at", submitted_at)
            .with("next_statuses", self.next_statuses())
            .fill(include_str!("account/merchant.json"))
    }

    /// The account in the newer shape, which Route uses, and its bank account.
    fn route_json(&self, random: &mut Random) -> (Object, Object) {
        let values = self.values().with("bank_account_id", random.id("ba_"));
        (
            values.fill(include_str!("account/route.json")),
            values.fill(include_str!("account/bank_account.json")),
        )
    }

    fn values(&self) -> Object {
        Object::of(self).with("account_id", self.account_id())
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let mut account = SimulatedAccount::new(random, now);
    let envelope = Envelope::new(&account.account_id(), name, now);
    match verb(name) {
        "authorization_revoked" => return envelope.without_entity_and_payload(),
        "instant_activation_gmv_limit_warning" | "no_doc_onboarding_gmv_limit_warning" => {
            // These amounts are in rupees, against the rule.
            return envelope
                .with_value("acc_id", account.account_id())
                .with_value("gmv_limit", 15_000)
                .with_value("current_gmv", random.between(10_000, 14_999))
                .with_value("message", "The limit is near; complete the KYC");
        }
        "updated" => {
            let (account, bank_account) = account.route_json(random);
            return envelope
                .with("account", account)
                .with("bank_account", bank_account);
        }
        "suspended" => (account.live, account.suspended_at) = (false, Some(now)),
        verb => {
            account.hold_funds = verb == "funds_hold";
            account.live = verb != "rejected";
            account.activation_status = Some(match verb {
                "funds_hold" | "funds_unhold" => "activated".to_owned(),
                "payments_enabled" => "instantly_activated".to_owned(),
                status => status.to_owned(),
            });
        }
    }
    envelope.with("account", account.json())
}
