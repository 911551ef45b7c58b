//! An order and the payment that pays it.

use super::{Envelope, SimulatedOrder, SimulatedPayment, SimulatedRefund};
use crate::random::Random;

/// An order with one payment of its full amount.
pub(crate) struct Purchase {
    pub(crate) order: SimulatedOrder,
    pub(crate) payment: SimulatedPayment,
}

/// How long customers stay at the checkout before they pay.
const CHECKOUT_SECONDS: (i64, i64) = (5, 90);

impl Purchase {
    /// A purchase whose payment was begun a second before `at`.
    pub(crate) fn new(random: &mut Random, at: i64) -> Self {
        let ordered_at = at - random.between(CHECKOUT_SECONDS.0, CHECKOUT_SECONDS.1);
        let mut order = SimulatedOrder::new(random, ordered_at);
        let payment = SimulatedPayment::towards(random, &order, order.amount, at - 1);
        order.attempt();
        Self { order, payment }
    }

    pub(crate) fn captured(random: &mut Random, at: i64) -> Self {
        let mut purchase = Self::new(random, at);
        purchase.capture();
        purchase
    }

    pub(crate) fn capture(&mut self) {
        self.payment.capture();
        self.order.receive(self.payment.amount);
    }

    /// Refunds a part of the payment.
    pub(crate) fn refund_part(&mut self, random: &mut Random, at: i64) -> SimulatedRefund {
        let amount = random.between(1, self.payment.amount - 1);
        SimulatedRefund::of(random, &mut self.payment, amount, at)
    }

    /// Refunds the rest of the payment.
    pub(crate) fn refund_rest(&mut self, random: &mut Random, at: i64) -> SimulatedRefund {
        let amount = self.payment.amount - self.payment.amount_refunded;
        SimulatedRefund::of(random, &mut self.payment, amount, at)
    }

    /// Announces both, as for `order.paid`.
    pub(crate) fn announce(&self, envelope: Envelope) -> Envelope {
        envelope
            .with("payment", self.payment.json())
            .with("order", &self.order)
    }
}
