//! Refunds.

use serde_json::value::RawValue;

use super::notes::notes;
use super::{Bodies, Envelope, Purchase, SimulatedPayment, verb};
use crate::json::{Encoder, object};
use crate::random::Random;

/// A refund as it is at one moment.
pub(crate) struct SimulatedRefund {
    id: String,
    payment_id: String,
    amount: i64,
    status: &'static str,
    speed_requested: &'static str,
    speed_processed: &'static str,
    arn: Option<String>,
    created_at: i64,
    notes: Box<RawValue>,
}

impl SimulatedRefund {
    /// A refund of a part or the whole of a payment, which shows it from now on.
    pub(crate) fn of(
        random: &mut Random,
        payment: &mut SimulatedPayment,
        amount: i64,
        created_at: i64,
    ) -> Self {
        payment.refund(amount);
        let (speed_requested, speed_processed) =
            random.pick(&[("normal", "normal"), ("optimum", "instant")]);
        Self {
            id: random.id("rfnd_"),
            payment_id: payment.id.clone(),
            amount,
            status: "pending",
            speed_requested,
            speed_processed,
            arn: None,
            created_at,
            notes: notes(random),
        }
    }

    pub(crate) fn process(&mut self, random: &mut Random) {
        self.status = "processed";
        self.arn = Some(random.digits(23));
    }

    /// The instant speed was not available, so it takes the normal one.
    pub(crate) fn slow_down(&mut self) {
        self.speed_requested = "optimum";
        self.speed_processed = "normal";
    }

    /// Announces the refund as its service does: keys in alphabetical order with internal ones among
    /// them, except for the change of speed, whose time stands inside the payload.
    pub(crate) fn announce(&self, envelope: Envelope, payment: &SimulatedPayment) -> Envelope {
        let refund = object! {
            "id": self.id,
            "entity": "refund",
            "amount": self.amount,
            "currency": "INR",
            "payment_id": self.payment_id,
            "notes": self.notes,
            "receipt": (),
            "acquirer_data": object! { "arn": self.arn },
            "created_at": self.created_at,
            "batch_id": (),
            "status": self.status,
            "speed_processed": self.speed_processed,
            "speed_requested": self.speed_requested,
        };
        let payment = payment.json();
        if verb(envelope.name()) == "speed_changed" {
            return envelope
                .with("refund", refund)
                .with("payment", payment)
                .with_time_inside_payload();
        }
        let internal =
            object! { "base_amount": self.amount, "gateway_refunded": (), "settled_by": () };
        let internal_of_payment = object! { "late_authorized": false, "reference1": () };
        envelope
            .with("refund", refund.and(internal))
            .with("payment", payment.and(internal_of_payment))
            .encoded(Encoder::Alphabetical)
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let paid_at = now - random.between(3_600, 86_400);
    let mut purchase = Purchase::captured(random, paid_at);
    let mut refund = if random.once_in(3) {
        purchase.refund_rest(random, now)
    } else {
        purchase.refund_part(random, now)
    };
    match verb(name) {
        "failed" => refund.status = "failed",
        "speed_changed" => refund.slow_down(),
        // A refund may be processed by the time it is announced.
        "created" if random.once_in(2) => {}
        _ => refund.process(random),
    }
    refund.announce(bodies.envelope(name, now), &purchase.payment)
}
