//! Disputes.

use super::{Bodies, Envelope, Payment, Purchase, verb};
use crate::json::{Json, list, object};
use crate::random::Random;

/// A dispute as it is at one moment.
#[derive(Clone)]
pub(crate) struct Dispute {
    pub(crate) status: &'static str,
    evidence: Evidence,
    id: String,
    payment_id: String,
    amount: i64,
    amount_deducted: i64,
    reason_code: &'static str,
    phase: &'static str,
    respond_by: i64,
    created_at: i64,
}

/// What the merchant has brought forward.
#[derive(Clone)]
enum Evidence {
    None,
    Submitted { documents: Vec<String>, at: i64 },
}

/// How long a merchant has to answer.
const RESPONSE_SECONDS: i64 = 7 * 86_400;

impl Dispute {
    pub(crate) fn of(random: &mut Random, payment: &Payment, created_at: i64) -> Self {
        Self {
            id: random.id("disp_"),
            payment_id: payment.id.clone(),
            amount: payment.amount - payment.amount_refunded,
            amount_deducted: 0,
            reason_code: random.pick(&[
                "goods_not_received",
                "duplicate_processing",
                "fraudulent_transaction",
            ]),
            status: "open",
            phase: "chargeback",
            respond_by: created_at + RESPONSE_SECONDS,
            evidence: Evidence::None,
            created_at,
        }
    }

    /// The merchant contests it.
    pub(crate) fn contest(&mut self, random: &mut Random, at: i64) {
        self.status = "under_review";
        self.evidence = Evidence::Submitted {
            documents: vec![random.id("doc_"), random.id("doc_")],
            at,
        };
    }

    pub(crate) fn lose(&mut self) {
        self.status = "lost";
        self.amount_deducted = self.amount;
    }

    /// Only what the bank asks about in its fraud phase is closed without a winner.
    fn close(&mut self) {
        self.status = "closed";
        self.phase = "fraud";
    }

    fn evidence_json(&self) -> Json {
        let (summary, documents, submitted_at) = match &self.evidence {
            Evidence::None => (None, None, None),
            Evidence::Submitted { documents, at } => {
                let ids = documents.iter().map(Json::from).collect();
                (
                    Some("signed for at the door"),
                    Some(Json::List(ids)),
                    Some(*at),
                )
            }
        };
        let others = documents.clone().map(|ids| {
            list![object! { "type": "receipt_signed_by_customer", "document_ids": ids }]
        });
        object! {
            "amount": self.amount,
            "summary": summary,
            "shipping_proof": documents,
            "billing_proof": Json::Null,
            "cancellation_proof": Json::Null,
            "customer_communication": Json::Null,
            "proof_of_service": Json::Null,
            "explanation_letter": Json::Null,
            "refund_confirmation": Json::Null,
            "access_activity_log": Json::Null,
            "refund_cancellation_policy": Json::Null,
            "term_and_conditions": Json::Null,
            "others": others,
            "submitted_at": submitted_at,
        }
    }

    /// Announces the dispute; where action is required, its evidence stands beside the entity and
    /// not within it.
    pub(crate) fn announce(&self, envelope: Envelope, payment: &Payment) -> Envelope {
        let dispute = object! {
            "id": &self.id,
            "entity": "dispute",
            "payment_id": &self.payment_id,
            "amount": self.amount,
            "currency": "INR",
            "amount_deducted": self.amount_deducted,
            "reason_code": self.reason_code,
            "respond_by": self.respond_by,
            "status": self.status,
            "phase": self.phase,
            "created_at": self.created_at,
        };
        let evidence = object! { "evidence": self.evidence_json() };
        let beside = verb(envelope.name()) == "action_required";
        let envelope = envelope.with("payment", payment.json());
        if beside {
            envelope.with_value("dispute", object! { "entity": dispute }.and(evidence))
        } else {
            envelope.with("dispute", dispute.and(evidence))
        }
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let paid_at = now - random.between(10 * 86_400, 30 * 86_400);
    let mut purchase = Purchase::new(random, paid_at);
    purchase.capture();
    let verb = verb(name);
    let begun_at = if verb == "created" {
        now
    } else {
        now - random.between(3_600, 3 * 86_400)
    };
    let mut dispute = Dispute::of(random, &purchase.payment, begun_at);
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
        "closed" => dispute.close(),
        _ => {}
    }
    dispute.announce(bodies.envelope(name, now), &purchase.payment)
}
