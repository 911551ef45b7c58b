//! Event bodies, as Razorpay's own services write them.

mod account;
mod customer;
mod dispute;
mod downtime;
pub(crate) mod envelope;
mod invoice;
mod method;
mod notes;
mod notification;
mod order;
mod others;
mod payment;
mod payment_link;
mod purchase;
mod refund;
mod validation;

pub(crate) use account::SimulatedAccount;
pub(crate) use dispute::SimulatedDispute;
pub(crate) use downtime::SimulatedDowntime;
pub(crate) use envelope::Envelope;
pub(crate) use invoice::SimulatedInvoice;
pub(crate) use order::SimulatedOrder;
pub(crate) use payment::SimulatedPayment;
pub(crate) use payment_link::SimulatedPaymentLink;
pub(crate) use purchase::Purchase;
pub(crate) use refund::SimulatedRefund;

use harkara_core::catalogue;

use crate::random::Random;

/// Builds bodies for one merchant's account.
///
/// The same seed and time give the same bodies in the same order; every body has fresh ids.
pub struct Bodies {
    random: Random,
    now_seconds: i64,
    account_id: String,
}

/// An event that could have come from Razorpay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvent {
    /// What `X-Razorpay-Event-Id` carries: 14 base-62 characters.
    pub event_id: String,
    /// The event's name, such as `payment.captured`.
    pub name: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Bodies {
    /// A builder that draws every choice from `seed`, with events that happen at `now_seconds`
    /// (Unix time) and entities that are a little older.
    #[must_use]
    pub fn new(seed: u64, now_seconds: i64) -> Self {
        let mut random = Random::new(seed);
        let account_id = random.id("acc_");
        Self {
            random,
            now_seconds,
            account_id,
        }
    }

    /// The account that the events belong to, except those of the `account.*` families, which are
    /// each about a fresh account of a partner.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    /// A body for an event name: minified JSON in UTF-8, with linked entities in the state that the
    /// event announces. A name that nobody has documented gets a plausible entity of its own.
    #[must_use]
    pub fn body(&mut self, event_name: &str) -> Vec<u8> {
        self.envelope_of(event_name).bytes()
    }

    /// The same as [`Bodies::body`], with a fresh event id.
    #[must_use]
    pub fn event(&mut self, event_name: &str) -> SimulatedEvent {
        let envelope = self.envelope_of(event_name);
        self.simulate(&envelope)
    }

    pub(crate) fn simulate(&mut self, envelope: &Envelope) -> SimulatedEvent {
        SimulatedEvent {
            event_id: self.random.bare_id(),
            name: envelope.name().to_owned(),
            body: envelope.bytes(),
        }
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    pub(crate) fn now_seconds(&self) -> i64 {
        self.now_seconds
    }

    /// An empty envelope of this account.
    pub(crate) fn envelope(&self, event_name: &str, at: i64) -> Envelope {
        Envelope::new(&self.account_id, event_name, at)
    }

    pub(crate) fn envelope_of(&mut self, event_name: &str) -> Envelope {
        match catalogue::find(event_name).map(|known| known.family) {
            Some("payment") => payment::envelope(self, event_name),
            Some("order") => order::envelope(self, event_name),
            Some("order.notification") => notification::envelope(self, event_name),
            Some("refund") => refund::envelope(self, event_name),
            Some("payment.dispute") => dispute::envelope(self, event_name),
            Some("payment.downtime") => downtime::envelope(self, event_name),
            Some("invoice") => invoice::envelope(self, event_name),
            Some("payment_link") => payment_link::envelope(self, event_name),
            Some("fund_account.validation") => validation::envelope(self, event_name),
            Some("account" | "account.app") => account::envelope(self, event_name),
            _ => others::envelope(self, event_name),
        }
    }
}

/// What an event's name says has happened: its last part.
pub(crate) fn verb(event_name: &str) -> &str {
    event_name.rsplit('.').next().unwrap_or(event_name)
}

#[cfg(test)]
mod tests;
