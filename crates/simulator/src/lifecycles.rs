//! Lifecycles of entities: several events that share ids, in the order in which they happen.
//!
//! Each body is a snapshot of its moment. Tests permute and repeat a lifecycle; the resulting rows must
//! be those of its own order.

use crate::bodies::{
    Bodies, Envelope, Purchase, SimulatedAccount, SimulatedDispute, SimulatedDowntime,
    SimulatedEvent, SimulatedInvoice, SimulatedOrder, SimulatedPayment, SimulatedPaymentLink,
    SimulatedRefund,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Bodies {
    /// One payment from a failure to a dispute won: `payment.failed`, `payment.authorized` (late),
    /// `payment.captured` and `order.paid` (in the same second), `refund.created` and
    /// `refund.processed` (a part), `payment.dispute.created`, `.under_review`, `.won`.
    #[must_use]
    pub fn payment_lifecycle(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 40 * DAY;
        let mut purchase = Purchase::new(self.random(), start);
        purchase.payment.fail(self.random());
        let mut events = vec![self.payment_event("payment.failed", start, &purchase.payment)];
        let at = start + 10 * MINUTE;
        purchase.payment.authorize();
        events.push(self.payment_event("payment.authorized", at, &purchase.payment));
        purchase.capture();
        events.extend(self.capture_events(at + 2, &purchase.order, &purchase.payment));

        let refund = purchase.refund_part(self.random(), start + DAY);
        let payment = &purchase.payment;
        let steps = [("created", start + DAY), ("processed", start + 3 * DAY)];
        events.extend(self.refund_events(refund, payment, &steps));
        let steps = [("created", 0), ("under_review", 1), ("won", 21)];
        events.extend(self.dispute_events(start + 10 * DAY, payment, &steps));
        self.simulate_all(&events)
    }

    /// One payment refunded in two parts: `payment.captured`, `order.paid`, `refund.created` and
    /// `refund.processed` for each part, the second with a `refund.speed_changed` between; the
    /// payment ends refunded in full.
    #[must_use]
    pub fn refund_lifecycle(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 20 * DAY;
        let mut purchase = Purchase::captured(self.random(), start);
        let mut events = self.capture_events(start, &purchase.order, &purchase.payment);

        let at = start + DAY;
        let refund = purchase.refund_part(self.random(), at);
        let steps = [("created", at), ("processed", at + HOUR)];
        events.extend(self.refund_events(refund, &purchase.payment, &steps));
        let at = start + 2 * DAY;
        let refund = purchase.refund_rest(self.random(), at);
        let steps = [
            ("created", at),
            ("speed_changed", at + HOUR),
            ("processed", at + 3 * DAY),
        ];
        events.extend(self.refund_events(refund, &purchase.payment, &steps));
        self.simulate_all(&events)
    }

    /// A dispute that goes back to the merchant and is lost: `payment.captured`, `order.paid`, then
    /// `payment.dispute.created`, `.under_review`, `.action_required`, `.under_review`, `.lost`.
    #[must_use]
    pub fn dispute_lifecycle(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 40 * DAY;
        let purchase = Purchase::captured(self.random(), start);
        let mut events = self.capture_events(start, &purchase.order, &purchase.payment);

        let steps = [
            ("created", 0),
            ("under_review", 1),
            ("action_required", 2),
            ("under_review", 3),
            ("lost", 20),
        ];
        events.extend(self.dispute_events(start + 10 * DAY, &purchase.payment, &steps));
        self.simulate_all(&events)
    }

    /// A link paid in two parts: `payment.captured` and `payment_link.partially_paid`, then
    /// `payment.captured`, `order.paid` and `payment_link.paid`. Both link events carry the link's
    /// creation as their time.
    #[must_use]
    pub fn payment_link_lifecycle(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 2 * DAY;
        let mut link = SimulatedPaymentLink::new(self.random(), start);
        let mut events = Vec::new();

        let at = start + HOUR;
        let part = link.order.amount / 3;
        let payment = link.pay(self.random(), part, at);
        events.push(self.payment_event("payment.captured", at, &payment));
        events.push(link.announce(self, "payment_link.partially_paid", Some(&payment)));

        let at = start + DAY;
        let rest = link.order.amount_due;
        let payment = link.pay(self.random(), rest, at);
        events.extend(self.capture_events(at, &link.order, &payment));
        events.push(link.announce(self, "payment_link.paid", Some(&payment)));
        self.simulate_all(&events)
    }

    /// An invoice paid in two parts: `payment.captured` and `invoice.partially_paid`, then
    /// `payment.captured`, `order.paid` and `invoice.paid`.
    #[must_use]
    pub fn invoice_lifecycle(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 10 * DAY;
        let mut invoice = SimulatedInvoice::new(self.random(), start);
        let mut events = Vec::new();

        let at = start + DAY;
        let part = invoice.order.amount / 4;
        let payment = invoice.pay(self.random(), part, at);
        events.push(self.payment_event("payment.captured", at, &payment));
        events.push(invoice.announce(self.envelope("invoice.partially_paid", at), Some(&payment)));

        let at = start + 3 * DAY;
        let rest = invoice.order.amount_due;
        let payment = invoice.pay(self.random(), rest, at);
        events.extend(self.capture_events(at, &invoice.order, &payment));
        events.push(invoice.announce(self.envelope("invoice.paid", at), Some(&payment)));
        self.simulate_all(&events)
    }

    /// A downtime from its start through a change of severity to its end: `payment.downtime.started`,
    /// `.updated`, `.resolved`.
    #[must_use]
    pub fn downtime_lifecycle(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 3 * HOUR;
        let mut downtime = SimulatedDowntime::new(self.random(), start);
        let event = |bodies: &Self, downtime: &SimulatedDowntime| {
            let name = format!("payment.downtime.{}", downtime.status);
            let envelope = bodies.envelope(&name, downtime.updated_at);
            envelope.with("payment.downtime", downtime)
        };
        downtime.severity = "medium";
        let mut events = vec![event(self, &downtime)];
        downtime.status = "updated";
        downtime.severity = "high";
        downtime.updated_at = start + 20 * MINUTE;
        events.push(event(self, &downtime));
        downtime.resolve(start + 2 * HOUR);
        events.push(event(self, &downtime));
        self.simulate_all(&events)
    }

    /// An account's onboarding: `account.instantly_activated`, `.under_review`,
    /// `.needs_clarification`, `.under_review`, `.activated_kyc_pending`.
    #[must_use]
    pub fn account_lifecycle(&mut self) -> Vec<SimulatedEvent> {
        let mut at = self.now_seconds() - 10 * DAY;
        let mut account = SimulatedAccount::new(self.random(), at);
        let mut events = Vec::new();
        for status in [
            "instantly_activated",
            "under_review",
            "needs_clarification",
            "under_review",
            "activated_kyc_pending",
        ] {
            account.activation_status = Some(status.to_owned());
            account.updated_at = at;
            let envelope = Envelope::new(&account.account_id(), &format!("account.{status}"), at);
            events.push(envelope.with("account", account.json()));
            at += DAY;
        }
        self.simulate_all(&events)
    }

    /// Every lifecycle once, each under its name.
    #[must_use]
    pub fn lifecycles(&mut self) -> Vec<(&'static str, Vec<SimulatedEvent>)> {
        vec![
            ("payment", self.payment_lifecycle()),
            ("refund", self.refund_lifecycle()),
            ("dispute", self.dispute_lifecycle()),
            ("payment_link", self.payment_link_lifecycle()),
            ("invoice", self.invoice_lifecycle()),
            ("downtime", self.downtime_lifecycle()),
            ("account", self.account_lifecycle()),
        ]
    }

    fn payment_event(&self, name: &str, at: i64, payment: &SimulatedPayment) -> Envelope {
        self.envelope(name, at).with("payment", payment.json())
    }

    /// Razorpay announces a capture twice within the second: for the payment and for its order.
    fn capture_events(
        &self,
        at: i64,
        order: &SimulatedOrder,
        payment: &SimulatedPayment,
    ) -> Vec<Envelope> {
        let captured = self.payment_event("payment.captured", at, payment);
        let paid = self.payment_event("order.paid", at, payment);
        vec![captured, paid.with("order", order)]
    }

    /// The events of a refund, given by their last parts and times.
    fn refund_events(
        &mut self,
        mut refund: SimulatedRefund,
        payment: &SimulatedPayment,
        steps: &[(&str, i64)],
    ) -> Vec<Envelope> {
        let mut event = |&(verb, at): &(&str, i64)| {
            refund.proceed(self.random(), verb);
            refund.announce(self.envelope(&format!("refund.{verb}"), at), payment)
        };
        steps.iter().map(&mut event).collect()
    }

    /// The events of a new dispute, given by their last parts and the days since it began.
    fn dispute_events(
        &mut self,
        began: i64,
        payment: &SimulatedPayment,
        steps: &[(&str, i64)],
    ) -> Vec<Envelope> {
        let mut dispute = SimulatedDispute::of(self.random(), payment, began);
        let mut event = |&(verb, days): &(&str, i64)| {
            let at = began + days * DAY;
            dispute.proceed(self.random(), verb, at);
            let envelope = self.envelope(&format!("payment.dispute.{verb}"), at);
            dispute.announce(envelope, payment)
        };
        steps.iter().map(&mut event).collect()
    }

    fn simulate_all(&mut self, envelopes: &[Envelope]) -> Vec<SimulatedEvent> {
        let events = envelopes.iter();
        events.map(|envelope| self.simulate(envelope)).collect()
    }
}

#[cfg(test)]
mod tests;
