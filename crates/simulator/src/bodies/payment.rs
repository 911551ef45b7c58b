//! Payments.

use serde_json::value::RawValue;

use super::customer::Customer;
use super::method::Method;
use super::notes::notes;
use super::{Bodies, Envelope, Purchase, SimulatedOrder, verb};
use crate::json::{Object, object};
use crate::random::Random;

/// A payment as it is at one moment.
#[derive(Clone)]
pub(crate) struct SimulatedPayment {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_refunded: i64,
    pub(crate) invoice_id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) method: Method,
    order_id: String,
    created_at: i64,
    status: &'static str,
    captured: bool,
    /// A row of [`FAILURES`].
    failure: Option<[&'static str; 5]>,
    customer: Customer,
    notes: Box<RawValue>,
}

/// Code, description, source, step and reason of a failure, in Razorpay's terms.
const FAILURES: [[&str; 5]; 3] = [
    [
        "BAD_REQUEST_ERROR",
        "The customer closed the page before paying",
        "customer",
        "payment_authentication",
        "payment_cancelled",
    ],
    [
        "GATEWAY_ERROR",
        "The bank's answer did not come in time",
        "bank",
        "payment_authorization",
        "gateway_technical_error",
    ],
    [
        "BAD_REQUEST_ERROR",
        "There is not enough money on the account",
        "customer",
        "payment_authorization",
        "insufficient_funds",
    ],
];

impl SimulatedPayment {
    /// A payment of `amount` that was just begun towards an order.
    pub(crate) fn towards(
        random: &mut Random,
        order: &SimulatedOrder,
        amount: i64,
        created_at: i64,
    ) -> Self {
        Self {
            id: random.id("pay_"),
            amount,
            amount_refunded: 0,
            order_id: order.id.clone(),
            invoice_id: None,
            description: random
                .once_in(2)
                .then(|| format!("Order no. {}", order.receipt)),
            created_at,
            method: Method::new(random),
            status: "created",
            captured: false,
            failure: None,
            customer: Customer::new(random),
            notes: notes(random),
        }
    }

    pub(crate) fn fail(&mut self, random: &mut Random) {
        self.status = "failed";
        self.failure = Some(random.pick(&FAILURES));
    }

    /// The bank authorized it, perhaps long after it had been given up as failed.
    pub(crate) fn authorize(&mut self) {
        self.status = "authorized";
        self.failure = None;
    }

    pub(crate) fn capture(&mut self) {
        self.status = "captured";
        self.captured = true;
        self.failure = None;
    }

    /// Refunds `amount`, which must not exceed the rest.
    pub(crate) fn refund(&mut self, amount: i64) {
        self.amount_refunded += amount;
        assert!(
            self.amount_refunded <= self.amount,
            "no more than was paid can be refunded"
        );
        if self.amount_refunded == self.amount {
            self.status = "refunded";
        }
    }

    pub(crate) fn json(&self) -> Object {
        // 2 % and the tax on it, charged at capture.
        let net = self.captured.then_some(self.amount / 50);
        let tax = net.map(|net| net * 18 / 100);
        let refund_status = match self.amount_refunded {
            0 => None,
            all if all == self.amount => Some("full"),
            _ => Some("partial"),
        };
        let instrument = |field| {
            let (named, value) = &self.method.instrument;
            (*named == field).then_some(value)
        };
        let error = |at: usize| self.failure.map(|failure| failure[at]);
        let is_authorized = matches!(self.status, "authorized" | "captured" | "refunded");
        let mut acquirer_data = Object::default();
        for (key, reference) in &self.method.references {
            acquirer_data = acquirer_data.with(*key, is_authorized.then_some(reference));
        }
        object! {
            "id": self.id,
            "entity": "payment",
            "amount": self.amount,
            "currency": "INR",
            "base_amount": self.amount,
            "status": self.status,
            "order_id": self.order_id,
            "invoice_id": self.invoice_id,
            "international": false,
            // Cash on delivery is pending.
            "method": if self.status == "pending" { "cod" } else { self.method.name },
            "amount_refunded": self.amount_refunded,
            "amount_transferred": 0,
            "refund_status": refund_status,
            "captured": self.captured,
            "description": self.description,
            "card_id": instrument("card_id"),
            "bank": instrument("bank"),
            "wallet": instrument("wallet"),
            "vpa": instrument("vpa"),
            "email": self.customer.email,
            "contact": self.customer.contact,
            "customer_id": self.customer.id,
            "notes": self.notes,
            "fee": net.zip(tax).map(|(net, tax)| net + tax),
            "tax": tax,
            "error_code": error(0),
            "error_description": error(1),
            "error_source": error(2),
            "error_step": error(3),
            "error_reason": error(4),
            "acquirer_data": acquirer_data,
            "created_at": self.created_at,
        }
        .and(self.method.own_fields.clone())
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let mut purchase = Purchase::new(bodies.random(), now);
    let payment = &mut purchase.payment;
    match verb(name) {
        "failed" => payment.fail(bodies.random()),
        "captured" => payment.capture(),
        "pending" => payment.status = "pending",
        _ => payment.authorize(),
    }
    bodies.envelope(name, now).with("payment", payment.json())
}
