//! The merge of two snapshots of one entity.

use super::Snapshot;
use crate::entity::{Dispute, GenericEntity, Order, Payment, Refund};
use crate::text::Text;

/// An entity whose snapshots merge into one row.
pub trait Merge: Sized {
    /// Merges the monotonic fields of the snapshot that did not prevail.
    ///
    /// Each is the maximum (or minimum) of both; an absent value is ignored.
    fn absorb(&mut self, _other: Self) {}
}

/// Merges two snapshots of an entity, in any order.
///
/// The one with the greater precedence prevails (then, the one with the greater event id) and determines every
/// descriptive field: a captured payment does not keep the error of its failed attempt. Only monotonic fields
/// are merged from both.
#[must_use]
pub fn merge<T: Merge>(a: Snapshot<T>, b: Snapshot<T>) -> Snapshot<T> {
    let (mut prevailing, other) = if a.prevails_over(&b) { (a, b) } else { (b, a) };
    prevailing.entity.absorb(other.entity);
    prevailing
}

impl<T> Snapshot<T> {
    /// Whether this snapshot prevails over another of the same entity, or is of the same event.
    pub(super) fn prevails_over(&self, other: &Self) -> bool {
        (self.precedence, &self.event_id) >= (other.precedence, &other.event_id)
    }
}

impl Merge for Payment {
    fn absorb(&mut self, other: Self) {
        self.amount_refunded = self.amount_refunded.max(other.amount_refunded);
        self.refund_status = greatest_refund_status(self.refund_status.take(), other.refund_status);
    }
}

impl Merge for Order {
    fn absorb(&mut self, other: Self) {
        self.amount_paid = self.amount_paid.max(other.amount_paid);
        self.amount_due = least(self.amount_due, other.amount_due);
        self.attempts = self.attempts.max(other.attempts);
    }
}

impl Merge for Refund {}

impl Merge for Dispute {}

impl Merge for GenericEntity {}

/// `full` is the greatest; the others compare bytewise.
fn greatest_refund_status(a: Option<Text>, b: Option<Text>) -> Option<Text> {
    let key = |status: &Option<Text>| status.as_deref() == Some("full");
    if (key(&a), &a) >= (key(&b), &b) { a } else { b }
}

fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
