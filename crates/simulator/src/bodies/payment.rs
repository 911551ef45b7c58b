//! Payments.

use super::customer::Customer;
use super::method::Method;
use super::notes::notes;
use super::{Bodies, Envelope, Order, Purchase, verb};
use crate::json::{Json, object};
use crate::random::Random;

/// A payment as it is at one moment.
#[derive(Clone)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_refunded: i64,
    pub(crate) order_id: String,
    pub(crate) invoice_id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) method: Method,
    status: &'static str,
    captured: bool,
    failure: Option<Failure>,
    customer: Customer,
    notes: Json,
}

/// Why a payment failed, in Razorpay's terms.
#[derive(Clone, Copy)]
struct Failure {
    code: &'static str,
    description: &'static str,
    source: &'static str,
    step: &'static str,
    reason: &'static str,
}

const FAILURES: [Failure; 3] = [
    Failure {
        code: "BAD_REQUEST_ERROR",
        description: "The customer closed the page before paying",
        source: "customer",
        step: "payment_authentication",
        reason: "payment_cancelled",
    },
    Failure {
        code: "GATEWAY_ERROR",
        description: "The bank's answer did not come in time",
        source: "bank",
        step: "payment_authorization",
        reason: "gateway_technical_error",
    },
    Failure {
        code: "BAD_REQUEST_ERROR",
        description: "There is not enough money on the account",
        source: "customer",
        step: "payment_authorization",
        reason: "insufficient_funds",
    },
];

impl Payment {
    /// A payment of `amount` that was just begun towards an order.
    pub(crate) fn towards(
        random: &mut Random,
        order: &Order,
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

    /// The bank said yes, perhaps long after the payment had been given up as failed.
    pub(crate) fn authorize(&mut self) {
        self.status = "authorized";
        self.failure = None;
    }

    pub(crate) fn capture(&mut self) {
        self.status = "captured";
        self.captured = true;
        self.failure = None;
    }

    /// Cash on delivery: to be paid at the door.
    fn wait_for_delivery(&mut self) {
        self.status = "pending";
    }

    /// Gives `amount` back, which must not be more than what is left.
    pub(crate) fn give_back(&mut self, amount: i64) {
        assert!(
            amount <= self.amount - self.amount_refunded,
            "no more than was paid can be refunded"
        );
        self.amount_refunded += amount;
        if self.amount_refunded == self.amount {
            self.status = "refunded";
        }
    }

    /// 2 % and the tax on it; nothing is charged before capture.
    fn fee_and_tax(&self) -> (Option<i64>, Option<i64>) {
        if !self.captured {
            return (None, None);
        }
        let net = self.amount / 50;
        let tax = net * 18 / 100;
        (Some(net + tax), Some(tax))
    }

    fn refund_status(&self) -> Option<&'static str> {
        match self.amount_refunded {
            0 => None,
            all if all == self.amount => Some("full"),
            _ => Some("partial"),
        }
    }

    pub(crate) fn json(&self) -> Json {
        let (fee, tax) = self.fee_and_tax();
        let told = matches!(self.status, "authorized" | "captured" | "refunded");
        object! {
            "id": &self.id,
            "entity": "payment",
            "amount": self.amount,
            "currency": "INR",
            "base_amount": self.amount,
            "status": self.status,
            "order_id": &self.order_id,
            "invoice_id": self.invoice_id.as_ref(),
            "international": false,
            "method": if self.status == "pending" { "cod" } else { self.method.name() },
            "amount_refunded": self.amount_refunded,
            "amount_transferred": 0,
            "refund_status": self.refund_status(),
            "captured": self.captured,
            "description": self.description.as_ref(),
            "card_id": self.method.card_id(),
            "bank": self.method.bank(),
            "wallet": self.method.wallet(),
            "vpa": self.method.vpa(),
            "email": &self.customer.email,
            "contact": &self.customer.contact,
            "customer_id": &self.customer.id,
            "notes": &self.notes,
            "fee": fee,
            "tax": tax,
            "error_code": self.failure.map(|f| f.code),
            "error_description": self.failure.map(|f| f.description),
            "error_source": self.failure.map(|f| f.source),
            "error_step": self.failure.map(|f| f.step),
            "error_reason": self.failure.map(|f| f.reason),
            "acquirer_data": self.method.acquirer_data(told),
            "created_at": self.created_at,
        }
        .and(self.method.own_fields())
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let mut purchase = Purchase::new(bodies.random(), now);
    match verb(name) {
        "failed" => purchase.payment.fail(bodies.random()),
        "captured" => purchase.capture(),
        "pending" => purchase.payment.wait_for_delivery(),
        _ => purchase.payment.authorize(),
    }
    bodies
        .envelope(name, now)
        .with("payment", purchase.payment.json())
}
