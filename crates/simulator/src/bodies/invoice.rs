//! Invoices.

use serde::Serialize;
use serde_json::value::RawValue;

use super::customer::Customer;
use super::notes::notes;
use super::{Bodies, Envelope, SimulatedOrder, SimulatedPayment, verb};
use crate::json::{Encoder, Object};
use crate::random::Random;

/// An invoice with its order, as they are at one moment.
#[derive(Serialize)]
pub(crate) struct SimulatedInvoice {
    #[serde(skip)]
    pub(crate) order: SimulatedOrder,
    id: String,
    expired_at: Option<i64>,
    paid_at: Option<i64>,
    payment_id: Option<String>,
    number: String,
    customer: Object,
    customer_id: String,
    issued_at: i64,
    is_link: bool,
    notes: Box<RawValue>,
    short_url: String,
    user_id: String,
}

/// How long an invoice may be paid.
const PAYABLE_SECONDS: i64 = 30 * 86_400;

impl SimulatedInvoice {
    pub(crate) fn new(random: &mut Random, issued_at: i64) -> Self {
        let customer = Customer::new(random);
        Self {
            id: random.id("inv_"),
            order: SimulatedOrder::new(random, issued_at),
            expired_at: None,
            paid_at: None,
            payment_id: None,
            number: format!("INV/{}", random.digits(5)),
            customer: customer.invoice_details(random),
            customer_id: customer.id,
            issued_at,
            is_link: random.once_in(3),
            notes: notes(random),
            short_url: format!("https://rzp.io/i/{}", &random.bare_id()[..7]),
            user_id: random.bare_id(),
        }
    }

    /// The customer pays a part of the amount due, or all of it.
    pub(crate) fn pay(&mut self, random: &mut Random, amount: i64, at: i64) -> SimulatedPayment {
        let mut payment = self.order.pay(random, amount, at - 3);
        payment.invoice_id = Some(self.id.clone());
        payment.description = Some(format!("Invoice #{}", self.id));
        if self.order.amount_due == 0 {
            self.paid_at = Some(at);
        }
        self.payment_id = Some(payment.id.clone());
        payment
    }

    fn json(&self) -> Object {
        let tax = self.order.amount / 10;
        let status = match (self.expired_at, self.paid_at, self.order.amount_paid) {
            (Some(_), _, _) => "expired",
            (None, Some(_), _) => "paid",
            (None, None, 0) => "issued",
            (None, None, _) => "partially_paid",
        };
        let values = Object::of(self).and(self.order.values());
        let invoice = values
            .with("status", status)
            .with("expire_by", self.issued_at + PAYABLE_SECONDS)
            .with("tax", tax)
            .with("net", self.order.amount - tax)
            .with("type", if self.is_link { "link" } else { "invoice" })
            .fill(include_str!("invoice/entity.json"));
        if self.is_link {
            invoice.with("currency_symbol", "₹")
        } else {
            invoice
        }
    }

    /// Announces the invoice, and the payment made towards it.
    pub(crate) fn announce(
        &self,
        envelope: Envelope,
        payment: Option<&SimulatedPayment>,
    ) -> Envelope {
        let envelope = match payment {
            Some(payment) => envelope
                .with("payment", payment.json())
                .with("order", &self.order),
            None => envelope,
        };
        envelope
            .with("invoice", self.json())
            .encoded(Encoder::Escaped)
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let verb = verb(name);
    let age = match verb {
        "expired" => PAYABLE_SECONDS,
        _ => random.between(3_600, 20 * 86_400),
    };
    let mut invoice = SimulatedInvoice::new(random, now - age);
    let amount = match verb {
        "expired" => {
            invoice.expired_at = Some(now);
            None
        }
        "partially_paid" => Some(invoice.order.amount / 3),
        _ => Some(invoice.order.amount),
    };
    let payment = amount.map(|amount| invoice.pay(random, amount, now));
    invoice.announce(bodies.envelope(name, now), payment.as_ref())
}
