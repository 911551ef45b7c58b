//! Refunds.

use serde::Serialize;
use serde_json::value::RawValue;

use super::notes::notes;
use super::{Bodies, Envelope, Purchase, SimulatedPayment, verb};
use crate::json::{Encoder, Object, object};
use crate::random::Random;

/// A refund as it is at one moment.
#[derive(Serialize)]
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
    /// A full or partial refund of a payment, which shows it from now on.
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

    /// Goes on to the state that the event with this last part announces.
    pub(crate) fn proceed(&mut self, random: &mut Random, verb: &str) {
        match verb {
            "created" => {}
            "failed" => self.status = "failed",
            // The instant speed was not available.
            "speed_changed" => (self.speed_requested, self.speed_processed) = ("optimum", "normal"),
            _ => (self.status, self.arn) = ("processed", Some(random.digits(23))),
        }
    }

    /// Announces the refund as its service does: keys in alphabetical order with internal ones among
    /// them, except for the change of speed, whose time is inside the payload.
    pub(crate) fn announce(&self, envelope: Envelope, payment: &SimulatedPayment) -> Envelope {
        let refund = Object::of(self).fill(include_str!("refund/entity.json"));
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
    // A refund may be processed by the time it is announced.
    let state = match verb(name) {
        "created" if !random.once_in(2) => "processed",
        verb => verb,
    };
    refund.proceed(random, state);
    refund.announce(bodies.envelope(name, now), &purchase.payment)
}
