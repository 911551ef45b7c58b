//! Disputes.

use serde::Serialize;

use super::{Bodies, Envelope, Purchase, SimulatedPayment, verb};
use crate::json::{Object, object};
use crate::random::Random;

/// A dispute as it is at one moment.
#[derive(Serialize)]
pub(crate) struct SimulatedDispute {
    status: &'static str,
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

    /// Goes on to the status that the event with this last part announces.
    pub(crate) fn proceed(&mut self, random: &mut Random, verb: &str, at: i64) {
        match verb {
            "under_review" => self.contest(random, at),
            "action_required" => self.status = "open",
            "won" => self.status = "won",
            "lost" => (self.status, self.amount_deducted) = ("lost", self.amount),
            // Only a bank's question in its fraud phase is closed without a winner.
            "closed" => (self.status, self.phase) = ("closed", "fraud"),
            _ => {}
        }
    }

    /// The merchant contests it.
    fn contest(&mut self, random: &mut Random, at: i64) {
        self.status = "under_review";
        self.documents = Some([random.id("doc_"), random.id("doc_")]);
        self.submitted_at = Some(at);
    }

    fn evidence(&self) -> Object {
        let documents = self.documents.as_ref();
        let others = documents
            .map(|ids| [object! { "type": "receipt_signed_by_customer", "document_ids": ids }]);
        Object::of(self)
            .with("summary", documents.map(|_| "signed for at the door"))
            .with("others", others)
            .fill(include_str!("dispute/evidence.json"))
    }

    /// Announces the dispute. If action is required, its evidence is beside the entity, not
    /// within it.
    pub(crate) fn announce(&self, envelope: Envelope, payment: &SimulatedPayment) -> Envelope {
        let dispute = Object::of(self).fill(include_str!("dispute/entity.json"));
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
    if matches!(verb, "action_required" | "won") {
        dispute.contest(random, now - 1_800);
    }
    dispute.proceed(random, verb, now);
    dispute.announce(bodies.envelope(name, now), &payment)
}
