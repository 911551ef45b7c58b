//! Disputes.

use super::{Bodies, Envelope, Purchase, SimulatedPayment, verb};
use crate::json::{Object, object};
use crate::random::Random;

/// A dispute as it is at one moment.
pub(crate) struct SimulatedDispute {
    pub(crate) status: &'static str,
    id: String,
    payment_id: String,
    amount: i64,
    amount_deducted: i64,
    reason_code: &'static str,
    phase: &'static str,
    respond_by: i64,
    created_at: i64,
    /// The merchant's documents.
    documents: Option<[String; 2]>,
    submitted_at: Option<i64>,
}

/// How long a merchant has to respond.
const RESPONSE_SECONDS: i64 = 7 * 86_400;

const REASONS: [&str; 3] = [
    "goods_not_received",
    "duplicate_processing",
    "fraudulent_transaction",
];

impl SimulatedDispute {
    pub(crate) fn of(random: &mut Random, payment: &SimulatedPayment, created_at: i64) -> Self {
        Self {
            id: random.id("disp_"),
            payment_id: payment.id.clone(),
            amount: payment.amount - payment.amount_refunded,
            amount_deducted: 0,
            reason_code: random.pick(&REASONS),
            status: "open",
            phase: "chargeback",
            respond_by: created_at + RESPONSE_SECONDS,
            created_at,
            documents: None,
            submitted_at: None,
        }
    }

    /// The merchant contests it.
    pub(crate) fn contest(&mut self, random: &mut Random, at: i64) {
        self.status = "under_review";
        self.documents = Some([random.id("doc_"), random.id("doc_")]);
        self.submitted_at = Some(at);
    }

    pub(crate) fn lose(&mut self) {
        self.status = "lost";
        self.amount_deducted = self.amount;
    }

    fn evidence(&self) -> Object {
        let documents = self.documents.as_ref();
        let others = documents
            .map(|ids| [object! { "type": "receipt_signed_by_customer", "document_ids": ids }]);
        object! {
            "amount": self.amount,
            "summary": documents.map(|_| "signed for at the door"),
            "shipping_proof": documents,
            "billing_proof": (),
            "cancellation_proof": (),
            "customer_communication": (),
            "proof_of_service": (),
            "explanation_letter": (),
            "refund_confirmation": (),
            "access_activity_log": (),
            "refund_cancellation_policy": (),
            "term_and_conditions": (),
            "others": others,
            "submitted_at": self.submitted_at,
        }
    }

    /// Announces the dispute. Where action is required, its evidence stands beside the entity, not
    /// within it.
    pub(crate) fn announce(&self, envelope: Envelope, payment: &SimulatedPayment) -> Envelope {
        let dispute = object! {
            "id": self.id,
            "entity": "dispute",
            "payment_id": self.payment_id,
            "amount": self.amount,
            "currency": "INR",
            "amount_deducted": self.amount_deducted,
            "reason_code": self.reason_code,
            "respond_by": self.respond_by,
            "status": self.status,
            "phase": self.phase,
            "created_at": self.created_at,
        };
        let evidence = self.evidence();
        let value = if verb(envelope.name()) == "action_required" {
            object! { "entity": dispute, "evidence": evidence }
        } else {
            object! { "entity": dispute.with("evidence", evidence) }
        };
        envelope
            .with("payment", payment.json())
            .with_value("dispute", value)
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let paid_at = now - random.between(10 * 86_400, 30 * 86_400);
    let payment = Purchase::captured(random, paid_at).payment;
    let verb = verb(name);
    let age = match verb {
        "created" => 0,
        _ => random.between(3_600, 3 * 86_400),
    };
    let mut dispute = SimulatedDispute::of(random, &payment, now - age);
    match verb {
        "under_review" => dispute.contest(random, now),
        "action_required" => {
            dispute.contest(random, now - 1_800);
            dispute.status = "open";
        }
        "won" => {
            dispute.contest(random, now - 1_800);
            dispute.status = "won";
        }
        "lost" => dispute.lose(),
        // Only a bank's question in its fraud phase is closed without a winner.
        "closed" => (dispute.status, dispute.phase) = ("closed", "fraud"),
        _ => {}
    }
    dispute.announce(bodies.envelope(name, now), &payment)
}
