//! Accounts of a partner's merchants.

use super::customer::Customer;
use super::{Bodies, Envelope, verb};
use crate::json::{EMPTY_LIST, Object, object};
use crate::random::Random;

/// A merchant's account as it is at one moment.
pub(crate) struct SimulatedAccount {
    pub(crate) activation_status: Option<&'static str>,
    pub(crate) updated_at: i64,
    bare_id: String,
    live: bool,
    hold_funds: bool,
    suspended_at: Option<i64>,
    created_at: i64,
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
        match self.activation_status {
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
        object! {
            "id": self.bare_id,
            "entity": "merchant",
            "name": self.business,
            "email": self.owner.email,
            "activated": self.live,
            "activated_at": self.live.then_some(self.created_at + 120),
            "live": self.live,
            "hold_funds": self.hold_funds,
            "pricing_plan_id": "C1standardPlan",
            "parent_id": (),
            "website": "",
            "category": "5691",
            "category2": "ecommerce",
            "international": false,
            "linked_account_kyc": false,
            "has_key_access": false,
            "fee_bearer": "platform",
            "fee_model": "prepaid",
            "refund_source": "balance",
            "billing_label": self.business,
            "receipt_email_enabled": true,
            "transaction_report_email": [&self.owner.email],
            "channel": "axis2",
            "convert_currency": false,
            "max_payment_amount": 50_000_000,
            "auto_refund_delay": (),
            "risk_rating": 3,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "suspended_at": self.suspended_at,
            "archived_at": (),
            "notes": EMPTY_LIST,
            "whitelisted_domains": EMPTY_LIST,
            "merchant_detail": self.merchant_detail(),
            "activation_source": "primary",
            "business_banking": false,
            "default_refund_speed": "normal",
            "product_international": "0000000000",
        }
    }

    fn merchant_detail(&self) -> Object {
        object! {
            "contact_name": self.owner.name,
            "contact_email": self.owner.email,
            "contact_mobile": self.owner.contact.trim_start_matches("+91"),
            "contact_landline": (),
            "business_type": "4",
            "business_name": self.business,
            "business_dba": self.business,
            "business_website": "",
            "business_registered_address": "14, Temple Street",
            "business_registered_state": "KA",
            "business_registered_city": "Mysuru",
            "business_registered_pin": "570001",
            "promoter_pan": self.pan,
            "promoter_pan_name": self.owner.name,
            "gstin": (),
            "business_category": "ecommerce",
            "business_subcategory": "fashion_and_lifestyle",
            "steps_finished": "[]",
            "activation_progress": 80,
            "locked": true,
            "activation_status": self.activation_status,
            "bank_details_verification_status": "initiated",
            "poi_verification_status": "initiated",
            "clarification_mode": (),
            "archived": 0,
            "allowed_next_activation_statuses": self.next_statuses(),
            "submitted": true,
            "submitted_at": self.created_at + 120,
            "bank_account_number": self.bank_account_number,
            "bank_account_name": self.owner.name,
            "bank_branch_ifsc": "UTIB0000123",
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "activation_flow": "whitelist",
            "live_transaction_done": 0,
            "client_applications": EMPTY_LIST,
        }
    }

    /// The account in the newer shape, which Route uses.
    fn route_json(&self) -> Object {
        object! {
            "id": self.account_id(), "entity": "account", "name": self.business, "email": self.owner.email,
            "live": self.live, "managed": true, "tnc_accepted": true, "notes": EMPTY_LIST,
            "activation_details": object! {
                "status": "activated", "activated_at": self.updated_at, "can_submit": true, "fields_pending": EMPTY_LIST,
            },
            "dashboard_access": false, "allow_reversals": false,
        }
    }

    fn bank_account_json(&self, random: &mut Random) -> Object {
        object! {
            "id": random.id("ba_"), "entity": "bank_account", "ifsc": "UTIB0000123", "bank_name": "Axis Bank",
            "name": self.owner.name, "notes": EMPTY_LIST, "account_number": self.bank_account_number,
        }
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
            let bank_account = account.bank_account_json(random);
            return envelope
                .with("account", account.route_json())
                .with("bank_account", bank_account);
        }
        "suspended" => {
            account.live = false;
            account.suspended_at = Some(now);
        }
        "funds_hold" => {
            account.activation_status = Some("activated");
            account.hold_funds = true;
        }
        "funds_unhold" | "activated" => account.activation_status = Some("activated"),
        "payments_enabled" | "instantly_activated" => {
            account.activation_status = Some("instantly_activated");
        }
        "activated_kyc_pending" => account.activation_status = Some("activated_kyc_pending"),
        "needs_clarification" => account.activation_status = Some("needs_clarification"),
        "rejected" => {
            account.activation_status = Some("rejected");
            account.live = false;
        }
        _ => account.activation_status = Some("under_review"),
    }
    envelope.with("account", account.json())
}
