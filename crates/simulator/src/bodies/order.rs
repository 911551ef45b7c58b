//! Orders.

use super::notes::notes;
use super::{Bodies, Envelope, Purchase, verb};
use crate::json::{Json, list, object};
use crate::random::Random;

/// An order as it is at one moment.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) receipt: String,
    pub(crate) amount: i64,
    pub(crate) status: &'static str,
    amount_paid: i64,
    attempts: i64,
    created_at: i64,
    notes: Json,
    offered: bool,
}

/// What orders cost, in paise: 1 to 50,000 rupees.
const AMOUNT_PAISE: (i64, i64) = (100, 5_000_000);

impl Order {
    pub(crate) fn new(random: &mut Random, created_at: i64) -> Self {
        Self {
            id: random.id("order_"),
            receipt: format!("rcpt/{}", random.digits(8)),
            amount: random.between(AMOUNT_PAISE.0, AMOUNT_PAISE.1),
            status: "created",
            amount_paid: 0,
            attempts: 0,
            created_at,
            notes: notes(random),
            offered: random.once_in(4),
        }
    }

    pub(crate) fn due(&self) -> i64 {
        self.amount - self.amount_paid
    }

    pub(crate) fn paid(&self) -> i64 {
        self.amount_paid
    }

    /// Somebody tried to pay.
    pub(crate) fn attempt(&mut self) {
        self.status = "attempted";
        self.attempts += 1;
    }

    /// A payment was captured; an order that is paid in part stays attempted.
    pub(crate) fn receive(&mut self, amount: i64) {
        assert!(amount <= self.due(), "no more than is due can be paid");
        self.amount_paid += amount;
        self.status = if self.due() == 0 { "paid" } else { "attempted" };
    }

    pub(crate) fn json(&self) -> Json {
        let order = object! {
            "id": &self.id,
            "entity": "order",
            "amount": self.amount,
            "amount_paid": self.amount_paid,
            "amount_due": self.due(),
            "currency": "INR",
            "receipt": &self.receipt,
            "offer_id": Json::Null,
            "status": self.status,
            "attempts": self.attempts,
            "notes": &self.notes,
            "created_at": self.created_at,
        };
        if self.offered {
            order.and(object! { "offers": object! { "entity": "collection", "count": 0, "items": list![] } })
        } else {
            order
        }
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    if verb(name) == "paid" {
        let mut purchase = Purchase::new(bodies.random(), now);
        purchase.capture();
        return bodies
            .envelope(name, now)
            .with("payment", purchase.payment.json())
            .with("order", purchase.order.json());
    }
    // Magic Checkout's own: created, placed, expired.
    let mut order = Order::new(bodies.random(), now);
    match verb(name) {
        "placed" => order.status = "placed",
        "expired" => order.status = "expired",
        _ => {}
    }
    bodies.envelope(name, now).with("order", order.json())
}
