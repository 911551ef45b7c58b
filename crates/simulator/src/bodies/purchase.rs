//! An order and the payment that pays it.

use super::{Order, Payment, Refund};
use crate::random::Random;

/// An order with one payment for the whole of it.
pub(crate) struct Purchase {
    pub(crate) order: Order,
    pub(crate) payment: Payment,
}

/// How long customers look at the checkout before they pay.
const CHECKOUT_SECONDS: (i64, i64) = (5, 90);

impl Purchase {
    /// A purchase whose payment was begun at `at`, a second before anything became of it.
    pub(crate) fn new(random: &mut Random, at: i64) -> Self {
        let ordered_at = at - random.between(CHECKOUT_SECONDS.0, CHECKOUT_SECONDS.1);
        let mut order = Order::new(random, ordered_at);
        let payment = Payment::towards(random, &order, order.amount, at - 1);
        order.attempt();
        Self { order, payment }
    }

    pub(crate) fn capture(&mut self) {
        self.payment.capture();
        self.order.receive(self.payment.amount);
    }

    /// Gives a part of what was paid back.
    pub(crate) fn refund_part(&mut self, random: &mut Random, at: i64) -> Refund {
        let amount = random.between(1, self.payment.amount - 1);
        Refund::of(random, &mut self.payment, amount, at)
    }

    /// Gives back all that is left.
    pub(crate) fn refund_rest(&mut self, random: &mut Random, at: i64) -> Refund {
        let amount = self.payment.amount - self.payment.amount_refunded;
        Refund::of(random, &mut self.payment, amount, at)
    }
}
