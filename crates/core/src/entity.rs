//! Snapshots of the entities in events, one type for each kind with a table of its own.

mod account;
mod downtime;
mod fields;
mod flat;
mod generic;
mod validation;

pub use account::Account;
pub use downtime::{Downtime, Instrument};
pub use flat::{Dispute, Invoice, Notification, Order, Payment, PaymentLink, Refund};
pub use generic::GenericEntity;
pub use validation::Validation;

use serde_json::value::RawValue;

use crate::event::{ContentError, Head};
use crate::precedence::{Precedence, standing_of, standing_of_dispute};
use crate::text::Text;
use crate::time::EventTime;

/// A snapshot of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is its type")]
pub enum Entity {
    Payment(Payment),
    Order(Order),
    Refund(Refund),
    Dispute(Dispute),
    Downtime(Downtime),
    Invoice(Invoice),
    Validation(Validation),
    Account(Account),
    PaymentLink(PaymentLink),
    Notification(Notification),
    Generic(GenericEntity),
}

impl Entity {
    /// Reads the entity of a payload key, and the latest of its times.
    ///
    /// `Ok(None)` for an untyped entity without an id: it cannot have a row.
    pub(crate) fn read(
        key: &str,
        raw: &RawValue,
        head: &Head,
        is_primary: bool,
    ) -> Result<Option<(Self, Option<EventTime>)>, ContentError> {
        let (entity, latest) = match key {
            Payment::KIND => map(Payment::read(raw)?, Self::Payment),
            Order::KIND => map(Order::read(raw)?, Self::Order),
            Refund::KIND => map(Refund::read(raw)?, Self::Refund),
            Dispute::KIND => map(Dispute::read(raw)?, Self::Dispute),
            Downtime::KIND => map(Downtime::read(raw)?, Self::Downtime),
            Invoice::KIND => map(Invoice::read(raw)?, Self::Invoice),
            Validation::KIND => map(Validation::read(raw)?, Self::Validation),
            Account::KIND => map(Account::read(raw, head)?, Self::Account),
            PaymentLink::KIND => map(PaymentLink::read(raw)?, Self::PaymentLink),
            Notification::KIND => map(Notification::read(raw)?, Self::Notification),
            _ => match GenericEntity::read(key, raw, head, is_primary) {
                Some(read) => map(read, Self::Generic),
                None => return Ok(None),
            },
        };
        Ok(Some((entity, latest)))
    }

    /// The payload key of this kind of entity.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.summary().0
    }

    /// The kind, the id and the status.
    fn summary(&self) -> (&str, &str, Option<&Text>) {
        match self {
            Self::Payment(e) => (Payment::KIND, e.id.as_str(), Some(&e.status)),
            Self::Order(e) => (Order::KIND, e.id.as_str(), Some(&e.status)),
            Self::Refund(e) => (Refund::KIND, e.id.as_str(), Some(&e.status)),
            Self::Dispute(e) => (Dispute::KIND, e.id.as_str(), Some(&e.status)),
            Self::Downtime(e) => (Downtime::KIND, e.id.as_str(), Some(&e.status)),
            Self::Invoice(e) => (Invoice::KIND, e.id.as_str(), Some(&e.status)),
            Self::Validation(e) => (Validation::KIND, e.id.as_str(), Some(&e.status)),
            Self::Account(e) => (Account::KIND, e.id.as_str(), e.status.as_ref()),
            Self::PaymentLink(e) => (PaymentLink::KIND, e.id.as_str(), Some(&e.status)),
            Self::Notification(e) => (Notification::KIND, e.id.as_str(), Some(&e.status)),
            Self::Generic(e) => (&e.kind, &e.id, e.status.as_ref()),
        }
    }

    /// The state of an entity that has no merged table of its own.
    pub(crate) fn state(&self) -> Option<GenericEntity> {
        let (amount, currency) = match self {
            Self::Payment(_) | Self::Order(_) | Self::Refund(_) | Self::Dispute(_) => return None,
            Self::Generic(e) => return Some(e.clone()),
            Self::Downtime(_) | Self::Account(_) | Self::Notification(_) => (None, None),
            Self::Invoice(e) => (e.amount, e.currency.clone()),
            Self::Validation(e) => (e.amount, e.currency.clone()),
            Self::PaymentLink(e) => (e.amount, e.currency.clone()),
        };
        let (kind, id, status) = self.summary();
        Some(GenericEntity {
            kind: kind.into(),
            id: id.into(),
            status: status.cloned(),
            amount,
            currency,
            created_at: None,
        })
    }

    /// The precedence of this snapshot in an event.
    pub(crate) fn precedence(&self, at: Option<EventTime>, is_primary: bool) -> Precedence {
        let (kind, _, status) = self.summary();
        let standing = if let Self::Dispute(e) = self {
            standing_of_dispute(e.phase.as_deref(), &e.status)
        } else {
            standing_of(kind, status.map(Text::as_str))
        };
        Precedence::new(standing, at, is_primary)
    }
}

fn map<T>(
    (entity, latest): (T, Option<EventTime>),
    to: fn(T) -> Entity,
) -> (Entity, Option<EventTime>) {
    (to(entity), latest)
}
