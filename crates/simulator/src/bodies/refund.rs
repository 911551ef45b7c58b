//! Refunds.

use super::notes::notes;
use super::{Bodies, Envelope, Payment, Purchase, verb};
use crate::json::{Encoder, Json, object};
use crate::random::Random;

/// A refund as it is at one moment.
#[derive(Clone)]
pub(crate) struct Refund {
    pub(crate) status: &'static str,
    pub(crate) speed_processed: &'static str,
    id: String,
    payment_id: String,
    amount: i64,
    speed_requested: &'static str,
    arn: Option<String>,
    created_at: i64,
    notes: Json,
}

impl Refund {
    /// A refund of a part or the whole of a payment, which shows it from now on.
    pub(crate) fn of(
        random: &mut Random,
        payment: &mut Payment,
        amount: i64,
        created_at: i64,
    ) -> Self {
        payment.give_back(amount);
        let speed = random.pick(&["normal", "optimum"]);
        Self {
            id: random.id("rfnd_"),
            payment_id: payment.id.clone(),
            amount,
            status: "pending",
            speed_requested: speed,
            speed_processed: if speed == "optimum" {
                "instant"
            } else {
                "normal"
            },
            arn: None,
            created_at,
            notes: notes(random),
        }
    }

    pub(crate) fn process(&mut self, random: &mut Random) {
        self.status = "processed";
        self.arn = Some(random.digits(23));
    }

    /// The instant way was not open, so it takes the normal one.
    pub(crate) fn slow_down(&mut self) {
        self.speed_requested = "optimum";
        self.speed_processed = "normal";
    }

    pub(crate) fn json(&self) -> Json {
        object! {
            "id": &self.id,
            "entity": "refund",
            "amount": self.amount,
            "currency": "INR",
            "payment_id": &self.payment_id,
            "notes": &self.notes,
            "receipt": Json::Null,
            "acquirer_data": object! { "arn": self.arn.as_ref() },
            "created_at": self.created_at,
            "batch_id": Json::Null,
            "status": self.status,
            "speed_processed": self.speed_processed,
            "speed_requested": self.speed_requested,
        }
    }

    /// Announces the refund as its service does: keys in alphabetical order with internal ones among
    /// them, except for the change of speed, whose time stands inside the payload.
    pub(crate) fn announce(&self, envelope: Envelope, payment: &Payment) -> Envelope {
        if verb(envelope.name()) == "speed_changed" {
            return envelope
                .with("refund", self.json())
                .with("payment", payment.json())
                .with_time_inside_payload();
        }
        let internal = object! { "base_amount": self.amount, "gateway_refunded": Json::Null, "settled_by": Json::Null };
        let payment = payment
            .json()
            .and(object! { "late_authorized": false, "reference1": Json::Null });
        envelope
            .with("refund", self.json().and(internal))
            .with("payment", payment)
            .encoded(Encoder::Alphabetical)
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let paid_at = now - random.between(3_600, 86_400);
    let mut purchase = Purchase::new(random, paid_at);
    purchase.capture();
    let full = random.once_in(3);
    let mut refund = if full {
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
