//! Payment links.

use super::customer::Customer;
use super::method::Method;
use super::{Bodies, Envelope, Order, Payment, verb};
use crate::json::{Encoder, Json, list, object};
use crate::random::Random;

/// A payment link with its order, as they are at one moment.
pub(crate) struct PaymentLink {
    pub(crate) order: Order,
    created_at: i64,
    updated_at: i64,
    cancelled_at: i64,
    expired_at: i64,
    expire_by: i64,
    id: String,
    customer: Customer,
    reference_id: String,
    short_url: String,
    user_id: String,
    merchant_id: String,
}

/// Payment links write this where a time is not set.
const UNSET: i64 = 0;

/// How long a link that expires may be paid.
const PAYABLE_SECONDS: i64 = 7 * 86_400;

impl PaymentLink {
    pub(crate) fn new(bodies: &mut Bodies, created_at: i64) -> Self {
        let merchant_id = bodies.account_id().trim_start_matches("acc_").to_owned();
        let random = bodies.random();
        Self {
            id: random.id("plink_"),
            order: Order::new(random, created_at + 11),
            created_at,
            updated_at: created_at,
            cancelled_at: UNSET,
            expired_at: UNSET,
            expire_by: UNSET,
            customer: Customer::new(random),
            reference_id: random.digits(6),
            short_url: format!("https://rzp.io/rzp/{}", &random.bare_id()[..7]),
            user_id: random.bare_id(),
            merchant_id,
        }
    }

    /// The customer pays a part of what is due, or all of it.
    pub(crate) fn pay(&mut self, random: &mut Random, amount: i64, at: i64) -> Payment {
        let mut payment = Payment::towards(random, &self.order, amount, at - 2);
        payment.method = Method::upi(random);
        payment.description = Some(format!("#{}", self.id.trim_start_matches("plink_")));
        payment.capture();
        self.order.attempt();
        self.order.receive(amount);
        self.updated_at = at;
        payment
    }

    fn status(&self) -> &'static str {
        if self.cancelled_at != UNSET {
            "cancelled"
        } else if self.expired_at != UNSET {
            "expired"
        } else if self.order.due() == 0 {
            "paid"
        } else if self.order.paid() > 0 {
            "partially_paid"
        } else {
            "created"
        }
    }

    fn json(&self) -> Json {
        object! {
            "id": &self.id,
            "accept_partial": true,
            "amount": self.order.amount,
            "amount_paid": self.order.paid(),
            "cancelled_at": self.cancelled_at,
            "created_at": self.created_at,
            "currency": "INR",
            "customer": object! { "contact": &self.customer.contact, "email": &self.customer.email },
            "description": "Deposit for a wedding hall",
            "expire_by": self.expire_by,
            "expired_at": self.expired_at,
            "first_min_partial_amount": 100,
            "notes": Json::Null,
            "notify": object! { "email": true, "sms": true, "whatsapp": false },
            "order_id": &self.order.id,
            "reference_id": &self.reference_id,
            "reminder_enable": false,
            "reminders": list![],
            "short_url": &self.short_url,
            "status": self.status(),
            "updated_at": self.updated_at,
            "upi_link": false,
            "user_id": &self.user_id,
            "whatsapp_link": false,
        }
    }

    /// The order as this service writes it, with its internal fields.
    fn order_json(&self) -> Json {
        self.order.json().and(object! {
            "account_number": Json::Null,
            "authorized": true,
            "bank_account": Json::Null,
            "customer_id": Json::Null,
            "merchant_id": &self.merchant_id,
            "method": Json::Null,
            "order_metas": list![],
            "partial_payment": true,
            "payment_capture": true,
            "product_id": self.id.trim_start_matches("plink_").to_owned(),
            "product_type": "payment_link_v2",
            "public_response": Json::Null,
            "transfers": Json::Null,
            "updated_at": self.updated_at,
        })
    }

    /// Announces the link, with the payment that was made through it where there is one. The
    /// envelope's time is the link's creation, whatever has happened to it since.
    pub(crate) fn announce(
        &self,
        bodies: &Bodies,
        name: &str,
        payment: Option<&Payment>,
    ) -> Envelope {
        let envelope = bodies
            .envelope(name, self.created_at)
            .with("payment_link", self.json())
            .encoded(Encoder::Alphabetical);
        match payment {
            Some(payment) => envelope.with("order", self.order_json()).with(
                "payment",
                payment.json().and(object! { "fee_bearer": "platform" }),
            ),
            None => envelope,
        }
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let verb = verb(name);
    let age = if verb == "expired" {
        PAYABLE_SECONDS
    } else {
        bodies.random().between(60, 5 * 86_400)
    };
    let mut link = PaymentLink::new(bodies, now - age);
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
    let payment = amount.map(|amount| link.pay(bodies.random(), amount, now));
    link.announce(bodies, name, payment.as_ref())
}
