//! Orders.

use serde::Serialize;
use serde_json::value::RawValue;

use super::notes::notes;
use super::{Bodies, Envelope, Purchase, SimulatedPayment, verb};
use crate::json::{EMPTY_LIST, Object, object};
use crate::random::Random;

/// An order as it is at one moment, with its fields in Razorpay's order.
#[derive(Clone, Serialize)]
pub(crate) struct SimulatedOrder {
    pub(crate) id: String,
    entity: &'static str,
    pub(crate) amount: i64,
    pub(crate) amount_paid: i64,
    pub(crate) amount_due: i64,
    currency: &'static str,
    pub(crate) receipt: String,
    offer_id: (),
    pub(crate) status: &'static str,
    attempts: u32,
    notes: Box<RawValue>,
    created_at: i64,
    /// Fields that some orders have, and those that some services add.
    #[serde(flatten)]
    pub(crate) more: Object,
}

/// What orders cost, in paise: 1 to 50,000 rupees.
const AMOUNT_PAISE: (i64, i64) = (100, 5_000_000);

impl SimulatedOrder {
    pub(crate) fn new(random: &mut Random, created_at: i64) -> Self {
        let id = random.id("order_");
        let receipt = format!("rcpt/{}", random.digits(8));
        let amount = random.between(AMOUNT_PAISE.0, AMOUNT_PAISE.1);
        Self {
            id,
            entity: "order",
            amount,
            amount_paid: 0,
            amount_due: amount,
            currency: "INR",
            receipt,
            offer_id: (),
            status: "created",
            attempts: 0,
            notes: notes(random),
            created_at,
            more: if random.once_in(4) {
                object! { "offers": object! { "entity": "collection", "count": 0, "items": EMPTY_LIST } }
            } else {
                Object::default()
            },
        }
    }

    /// The customer tries to pay.
    pub(crate) fn attempt(&mut self) {
        self.status = "attempted";
        self.attempts += 1;
    }

    /// A payment was captured; a partially paid order stays attempted.
    pub(crate) fn receive(&mut self, amount: i64) {
        assert!(
            amount <= self.amount_due,
            "no more than the amount due can be paid"
        );
        self.amount_paid += amount;
        self.amount_due -= amount;
        self.status = if self.amount_due == 0 {
            "paid"
        } else {
            "attempted"
        };
    }

    /// The customer pays a part of the amount due, or all of it.
    pub(crate) fn pay(&mut self, random: &mut Random, amount: i64, at: i64) -> SimulatedPayment {
        let mut payment = SimulatedPayment::towards(random, self, amount, at);
        payment.capture();
        self.attempt();
        self.receive(amount);
        payment
    }

    /// The fields that links and invoices take from their order.
    pub(crate) fn values(&self) -> Object {
        object! {
            "order_id": self.id, "amount": self.amount, "amount_paid": self.amount_paid,
            "amount_due": self.amount_due,
        }
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    if verb(name) == "paid" {
        let purchase = Purchase::captured(bodies.random(), now);
        return purchase.announce(bodies.envelope(name, now));
    }
    // Magic Checkout's own: created, placed, expired.
    let mut order = SimulatedOrder::new(bodies.random(), now);
    match verb(name) {
        "placed" => order.status = "placed",
        "expired" => order.status = "expired",
        _ => {}
    }
    bodies.envelope(name, now).with("order", order)
}
