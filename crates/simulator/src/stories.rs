//! Lives of entities: several events that share ids, in the order in which they happen.
//!
//! Each body is a snapshot of its moment. Tests permute and repeat a story; the rows that it ends in
//! must be those of its own order.

use crate::bodies::{
    Account, Bodies, Dispute, Downtime, Envelope, Invoice, PaymentLink, Purchase, SimulatedEvent,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Bodies {
    /// One payment from a failure to a dispute won: `payment.failed`, `payment.authorized` (late),
    /// `payment.captured` and `order.paid` (in the same second), `refund.created` and
    /// `refund.processed` (a part), `payment.dispute.created`, `.under_review`, `.won`.
    #[must_use]
    pub fn payment_story(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 40 * DAY;
        let mut purchase = Purchase::new(self.random(), start);
        let mut story = Story::default();

        purchase.payment.fail(self.random());
        story.tell(
            self.envelope("payment.failed", start)
                .with("payment", purchase.payment.json()),
        );
        let at = start + 10 * MINUTE;
        purchase.payment.authorize();
        story.tell(
            self.envelope("payment.authorized", at)
                .with("payment", purchase.payment.json()),
        );
        story.capture(self, &mut purchase, at + 2);

        let at = start + DAY;
        let mut refund = purchase.refund_part(self.random(), at);
        story.tell(refund.announce(self.envelope("refund.created", at), &purchase.payment));
        refund.process(self.random());
        story.tell(refund.announce(
            self.envelope("refund.processed", at + 2 * DAY),
            &purchase.payment,
        ));

        let at = start + 10 * DAY;
        let mut dispute = Dispute::of(self.random(), &purchase.payment, at);
        story.tell(dispute.announce(
            self.envelope("payment.dispute.created", at),
            &purchase.payment,
        ));
        let at = at + DAY;
        dispute.contest(self.random(), at);
        story.tell(dispute.announce(
            self.envelope("payment.dispute.under_review", at),
            &purchase.payment,
        ));
        dispute.status = "won";
        story.tell(dispute.announce(
            self.envelope("payment.dispute.won", at + 20 * DAY),
            &purchase.payment,
        ));
        story.end(self)
    }

    /// One payment given back in two parts: `payment.captured`, `order.paid`, `refund.created` and
    /// `refund.processed` for each part, the second with a `refund.speed_changed` between; the
    /// payment ends refunded in full.
    #[must_use]
    pub fn refund_story(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 20 * DAY;
        let mut purchase = Purchase::new(self.random(), start);
        let mut story = Story::default();
        story.capture(self, &mut purchase, start);

        let at = start + DAY;
        let mut first = purchase.refund_part(self.random(), at);
        story.tell(first.announce(self.envelope("refund.created", at), &purchase.payment));
        first.process(self.random());
        story.tell(first.announce(
            self.envelope("refund.processed", at + HOUR),
            &purchase.payment,
        ));

        let at = start + 2 * DAY;
        let mut second = purchase.refund_rest(self.random(), at);
        story.tell(second.announce(self.envelope("refund.created", at), &purchase.payment));
        second.slow_down();
        story.tell(second.announce(
            self.envelope("refund.speed_changed", at + HOUR),
            &purchase.payment,
        ));
        second.process(self.random());
        story.tell(second.announce(
            self.envelope("refund.processed", at + 3 * DAY),
            &purchase.payment,
        ));
        story.end(self)
    }

    /// A dispute that goes back to the merchant and is lost: `payment.captured`, `order.paid`, then
    /// `payment.dispute.created`, `.under_review`, `.action_required`, `.under_review`, `.lost`.
    #[must_use]
    pub fn dispute_story(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 40 * DAY;
        let mut purchase = Purchase::new(self.random(), start);
        let mut story = Story::default();
        story.capture(self, &mut purchase, start);

        let opened_at = start + 10 * DAY;
        let mut dispute = Dispute::of(self.random(), &purchase.payment, opened_at);
        story.tell(dispute.announce(
            self.envelope("payment.dispute.created", opened_at),
            &purchase.payment,
        ));
        dispute.contest(self.random(), opened_at + DAY);
        story.tell(dispute.announce(
            self.envelope("payment.dispute.under_review", opened_at + DAY),
            &purchase.payment,
        ));
        dispute.status = "open";
        story.tell(dispute.announce(
            self.envelope("payment.dispute.action_required", opened_at + 2 * DAY),
            &purchase.payment,
        ));
        dispute.contest(self.random(), opened_at + 3 * DAY);
        story.tell(dispute.announce(
            self.envelope("payment.dispute.under_review", opened_at + 3 * DAY),
            &purchase.payment,
        ));
        dispute.lose();
        story.tell(dispute.announce(
            self.envelope("payment.dispute.lost", opened_at + 20 * DAY),
            &purchase.payment,
        ));
        story.end(self)
    }

    /// A link paid in two parts: `payment.captured` and `payment_link.partially_paid`, then
    /// `payment.captured`, `order.paid` and `payment_link.paid`. Both link events carry the link's
    /// creation as their time.
    #[must_use]
    pub fn payment_link_story(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 2 * DAY;
        let mut link = PaymentLink::new(self, start);
        let mut story = Story::default();

        let part = link.order.amount / 3;
        let at = start + HOUR;
        let first = link.pay(self.random(), part, at);
        story.tell(
            self.envelope("payment.captured", at)
                .with("payment", first.json()),
        );
        story.tell(link.announce(self, "payment_link.partially_paid", Some(&first)));

        let at = start + DAY;
        let rest = link.order.due();
        let second = link.pay(self.random(), rest, at);
        story.tell(
            self.envelope("payment.captured", at)
                .with("payment", second.json()),
        );
        let paid = self
            .envelope("order.paid", at)
            .with("payment", second.json());
        story.tell(paid.with("order", link.order.json()));
        story.tell(link.announce(self, "payment_link.paid", Some(&second)));
        story.end(self)
    }

    /// An invoice paid in two parts: `payment.captured` and `invoice.partially_paid`, then
    /// `payment.captured`, `order.paid` and `invoice.paid`.
    #[must_use]
    pub fn invoice_story(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 10 * DAY;
        let mut invoice = Invoice::new(self.random(), start);
        let mut story = Story::default();

        let part = invoice.order.amount / 4;
        let at = start + DAY;
        let first = invoice.pay(self.random(), part, at);
        story.tell(
            self.envelope("payment.captured", at)
                .with("payment", first.json()),
        );
        story.tell(invoice.announce(self.envelope("invoice.partially_paid", at), Some(&first)));

        let at = start + 3 * DAY;
        let rest = invoice.order.due();
        let second = invoice.pay(self.random(), rest, at);
        story.tell(
            self.envelope("payment.captured", at)
                .with("payment", second.json()),
        );
        let paid = self
            .envelope("order.paid", at)
            .with("payment", second.json());
        story.tell(paid.with("order", invoice.order.json()));
        story.tell(invoice.announce(self.envelope("invoice.paid", at), Some(&second)));
        story.end(self)
    }

    /// A downtime from its start through a change of severity to its end: `payment.downtime.started`,
    /// `.updated`, `.resolved`.
    #[must_use]
    pub fn downtime_story(&mut self) -> Vec<SimulatedEvent> {
        let start = self.now_seconds() - 3 * HOUR;
        let mut downtime = Downtime::new(self.random(), start);
        let mut story = Story::default();
        let mut tell = |bodies: &Self, downtime: &Downtime, name| {
            story.tell(
                bodies
                    .envelope(name, downtime.updated_at)
                    .with("payment.downtime", downtime.json()),
            );
        };
        downtime.severity = "medium";
        tell(self, &downtime, "payment.downtime.started");
        downtime.status = "updated";
        downtime.severity = "high";
        downtime.updated_at = start + 20 * MINUTE;
        tell(self, &downtime, "payment.downtime.updated");
        downtime.status = "resolved";
        downtime.updated_at = start + 2 * HOUR;
        downtime.end = Some(downtime.updated_at);
        tell(self, &downtime, "payment.downtime.resolved");
        story.end(self)
    }

    /// An account's onboarding: `account.instantly_activated`, `.under_review`,
    /// `.needs_clarification`, `.under_review`, `.activated_kyc_pending`.
    #[must_use]
    pub fn account_story(&mut self) -> Vec<SimulatedEvent> {
        let mut at = self.now_seconds() - 10 * DAY;
        let mut account = Account::new(self.random(), at);
        let mut story = Story::default();
        for (name, status) in [
            ("account.instantly_activated", "instantly_activated"),
            ("account.under_review", "under_review"),
            ("account.needs_clarification", "needs_clarification"),
            ("account.under_review", "under_review"),
            ("account.activated_kyc_pending", "activated_kyc_pending"),
        ] {
            account.activation_status = Some(status);
            account.updated_at = at;
            story.tell(
                Envelope::new(&account.account_id(), name, at).with("account", account.json()),
            );
            at += DAY;
        }
        story.end(self)
    }

    /// Every story once, each under its name.
    #[must_use]
    pub fn stories(&mut self) -> Vec<(&'static str, Vec<SimulatedEvent>)> {
        vec![
            ("payment", self.payment_story()),
            ("refund", self.refund_story()),
            ("dispute", self.dispute_story()),
            ("payment_link", self.payment_link_story()),
            ("invoice", self.invoice_story()),
            ("downtime", self.downtime_story()),
            ("account", self.account_story()),
        ]
    }
}

/// What has been told so far.
#[derive(Default)]
struct Story(Vec<Envelope>);

impl Story {
    fn tell(&mut self, envelope: Envelope) {
        self.0.push(envelope);
    }

    /// Razorpay announces a capture twice within the second: for the payment and for its order.
    fn capture(&mut self, bodies: &Bodies, purchase: &mut Purchase, at: i64) {
        purchase.capture();
        self.tell(
            bodies
                .envelope("payment.captured", at)
                .with("payment", purchase.payment.json()),
        );
        let paid = bodies
            .envelope("order.paid", at)
            .with("payment", purchase.payment.json());
        self.tell(paid.with("order", purchase.order.json()));
    }

    fn end(self, bodies: &mut Bodies) -> Vec<SimulatedEvent> {
        self.0
            .iter()
            .map(|envelope| bodies.simulate(envelope))
            .collect()
    }
}

#[cfg(test)]
mod tests;
