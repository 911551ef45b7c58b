//! Payment links.

use serde::Serialize;

use super::customer::Customer;
use super::method::Method;
use super::{Bodies, Envelope, SimulatedOrder, SimulatedPayment, verb};
use crate::json::{Encoder, Object};
use crate::random::Random;

/// A payment link with its order, as they are at one moment.
#[derive(Serialize)]
pub(crate) struct SimulatedPaymentLink {
    #[serde(skip)]
    pub(crate) order: SimulatedOrder,
    created_at: i64,
    updated_at: i64,
    cancelled_at: i64,
    expired_at: i64,
    expire_by: i64,
    id: String,
    #[serde(flatten)]
    customer: Customer,
    reference_id: String,
    short_url: String,
    user_id: String,
}

/// Payment links write this where a time is not set.
const UNSET: i64 = 0;

/// How long a link that expires may be paid.
const PAYABLE_SECONDS: i64 = 7 * 86_400;

impl SimulatedPaymentLink {
    pub(crate) fn new(random: &mut Random, created_at: i64) -> Self {
        Self {
            id: random.id("plink_"),
            order: SimulatedOrder::new(random, created_at + 11),
            created_at,
            updated_at: created_at,
            cancelled_at: UNSET,
            expired_at: UNSET,
            expire_by: UNSET,
            customer: Customer::new(random),
            reference_id: random.digits(6),
            short_url: format!("https://rzp.io/rzp/{}", &random.bare_id()[..7]),
            user_id: random.bare_id(),
        }
    }

    /// The customer pays a part of the amount due, or all of it.
    pub(crate) fn pay(&mut self, random: &mut Random, amount: i64, at: i64) -> SimulatedPayment {
        let mut payment = self.order.pay(random, amount, at - 2);
        payment.method = Method::upi(random);
        payment.description = Some(format!("#{}", self.bare_id()));
        self.updated_at = at;
        payment
    }

    fn bare_id(&self) -> &str {
        self.id.trim_start_matches("plink_")
    }

    fn json(&self) -> Object {
        let status = match &self.order {
            _ if self.cancelled_at != UNSET => "cancelled",
            _ if self.expired_at != UNSET => "expired",
            order if order.amount_due == 0 => "paid",
            order if order.amount_paid > 0 => "partially_paid",
            _ => "created",
        };
        let values = Object::of(self).and(self.order.values());
        values
            .with("status", status)
            .fill(include_str!("payment_link/entity.json"))
    }

    /// The fields that this service adds to an order.
    fn internal_of_order(&self, merchant_id: &str) -> Object {
        Object::of(self)
            .with("bare_id", self.bare_id())
            .with("merchant_id", merchant_id)
            .fill(include_str!("payment_link/internal_of_order.json"))
    }

    /// Announces the link, and the payment made through it. The envelope's time is the link's
    /// creation, whatever has happened to it since.
    pub(crate) fn announce(
        &self,
        bodies: &Bodies,
        name: &str,
        payment: Option<&SimulatedPayment>,
    ) -> Envelope {
        let envelope = bodies
            .envelope(name, self.created_at)
            .with("payment_link", self.json())
            .encoded(Encoder::Alphabetical);
        let Some(payment) = payment else {
            return envelope;
        };
        let merchant_id = bodies.account_id().trim_start_matches("acc_");
        let mut order = self.order.clone();
        order.more = order.more.and(self.internal_of_order(merchant_id));
        envelope
            .with("order", order)
            .with("payment", payment.json().with("fee_bearer", "platform"))
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let verb = verb(name);
    let random = bodies.random();
    let age = match verb {
        "expired" => PAYABLE_SECONDS,
        _ => random.between(60, 5 * 86_400),
    };
    let mut link = SimulatedPaymentLink::new(random, now - age);
    let amount = match verb {
        "cancelled" => {
            link.cancelled_at = now;
            None
        }
        "expired" => {
            link.expire_by = now;
            link.expired_at = now;
            None
        }
        "partially_paid" => Some(link.order.amount / 3),
        _ => Some(link.order.amount),
    };
    link.updated_at = now;
    let payment = amount.map(|amount| link.pay(random, amount, now));
    link.announce(bodies, name, payment.as_ref())
}
