//! Projects events to rows: one merged snapshot for each entity with a state, one row for each event of the
//! families with a history.
//!
//! The law: merging snapshots of an entity is commutative, associative and idempotent, so a set of events
//! gives the same rows in every order, with any repetition and batching. The database merges by the same law
//! (written once more in `harkara-storage`, in SQL).

mod merge;

pub use merge::{Merge, merge};

use std::collections::BTreeMap;

use crate::entity::{
    Account, Dispute, Downtime, Entity, GenericEntity, Invoice, Notification, Order, Payment,
    PaymentLink, Refund, Validation,
};
use crate::event::Event;
use crate::ids::{AccountId, DisputeId, EventId, OrderId, PaymentId, RefundId};
use crate::precedence::Precedence;
use crate::text::Text;
use crate::time::EventTime;

/// An entity as shown by one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot<T> {
    /// The event.
    pub event_id: EventId,
    /// The event's name.
    pub event_type: Text,
    /// The account of the event.
    pub account_id: Option<AccountId>,
    /// When the event happened.
    pub occurred_at: Option<EventTime>,
    /// The precedence among all snapshots of the entity.
    pub precedence: Precedence,
    /// The entity.
    pub entity: T,
}

/// A payment link with the payment of the same event: the link itself does not name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentLinkEvent {
    /// The link.
    pub link: PaymentLink,
    /// The payment that paid it.
    pub payment_id: Option<PaymentId>,
}

/// Everything that a set of events changes. Merged rows are sorted by id, so that concurrent commits take
/// their locks in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is its type's rows")]
pub struct Projection {
    pub orders: Vec<Snapshot<Order>>,
    pub payments: Vec<Snapshot<Payment>>,
    pub refunds: Vec<Snapshot<Refund>>,
    pub disputes: Vec<Snapshot<Dispute>>,
    pub states: Vec<Snapshot<GenericEntity>>,

    pub downtimes: Vec<Snapshot<Downtime>>,
    pub invoices: Vec<Snapshot<Invoice>>,
    pub validations: Vec<Snapshot<Validation>>,
    pub accounts: Vec<Snapshot<Account>>,
    pub payment_links: Vec<Snapshot<PaymentLinkEvent>>,
    pub notifications: Vec<Snapshot<Notification>>,

    /// Snapshots that came after one of the same entity that prevails over them.
    pub n_late: usize,
}

/// Projects events to the rows they change.
#[must_use]
pub fn project<'a>(events: impl IntoIterator<Item = (&'a EventId, &'a Event)>) -> Projection {
    let mut fold = Fold::default();
    for (id, event) in events {
        for (precedence, entity) in &event.entities {
            fold.add(id, event, *precedence, entity);
        }
    }
    Projection {
        orders: fold.orders.into_values().collect(),
        payments: fold.payments.into_values().collect(),
        refunds: fold.refunds.into_values().collect(),
        disputes: fold.disputes.into_values().collect(),
        states: fold.states.into_values().collect(),
        ..fold.history
    }
}

#[derive(Default)]
struct Fold {
    orders: BTreeMap<OrderId, Snapshot<Order>>,
    payments: BTreeMap<PaymentId, Snapshot<Payment>>,
    refunds: BTreeMap<RefundId, Snapshot<Refund>>,
    disputes: BTreeMap<DisputeId, Snapshot<Dispute>>,
    states: BTreeMap<(Text, Text), Snapshot<GenericEntity>>,
    history: Projection,
}

impl Fold {
    fn add(&mut self, id: &EventId, event: &Event, precedence: Precedence, entity: &Entity) {
        let of = Source {
            id,
            event,
            precedence,
        };
        self.add_history(of, event, entity);
        let late = match entity {
            Entity::Payment(e) => keep(&mut self.payments, e.id.clone(), of.snapshot(e)),
            Entity::Order(e) => keep(&mut self.orders, e.id.clone(), of.snapshot(e)),
            Entity::Refund(e) => keep(&mut self.refunds, e.id.clone(), of.snapshot(e)),
            Entity::Dispute(e) => keep(&mut self.disputes, e.id.clone(), of.snapshot(e)),
            _ => entity.state().map_or(0, |e| {
                keep(
                    &mut self.states,
                    (e.kind.clone(), e.id.clone()),
                    of.snapshot(&e),
                )
            }),
        };
        self.history.n_late += late;
    }

    /// Adds the row of an entity whose family has a history.
    fn add_history(&mut self, of: Source<'_>, event: &Event, entity: &Entity) {
        let history = &mut self.history;
        match entity {
            Entity::Downtime(e) => history.downtimes.push(of.snapshot(e)),
            Entity::Invoice(e) => history.invoices.push(of.snapshot(e)),
            Entity::Validation(e) => history.validations.push(of.snapshot(e)),
            Entity::Account(e) => history.accounts.push(of.snapshot(e)),
            Entity::Notification(e) => history.notifications.push(of.snapshot(e)),
            Entity::PaymentLink(link) => {
                let payment_id = event.entities.iter().find_map(|(_, other)| match other {
                    Entity::Payment(payment) => Some(payment.id.clone()),
                    _ => None,
                });
                history.payment_links.push(of.snapshot(&PaymentLinkEvent {
                    link: link.clone(),
                    payment_id,
                }));
            }
            Entity::Payment(_)
            | Entity::Order(_)
            | Entity::Refund(_)
            | Entity::Dispute(_)
            | Entity::Generic(_) => {}
        }
    }
}

#[derive(Clone, Copy)]
struct Source<'a> {
    id: &'a EventId,
    event: &'a Event,
    precedence: Precedence,
}

impl Source<'_> {
    fn snapshot<T: Clone>(self, entity: &T) -> Snapshot<T> {
        Snapshot {
            event_id: self.id.clone(),
            event_type: self.event.head.name.clone(),
            account_id: self.event.head.account_id.clone(),
            occurred_at: self.event.head.occurred_at,
            precedence: self.precedence,
            entity: entity.clone(),
        }
    }
}

/// Merges a snapshot into the rows. Returns 1 if it came late, after one that prevails over it.
fn keep<K: Ord, T: Merge>(
    rows: &mut BTreeMap<K, Snapshot<T>>,
    key: K,
    snapshot: Snapshot<T>,
) -> usize {
    let Some(current) = rows.remove(&key) else {
        rows.insert(key, snapshot);
        return 0;
    };
    let late = current.prevails_over(&snapshot);
    rows.insert(key, merge(current, snapshot));
    usize::from(late)
}

#[cfg(test)]
mod tests;
