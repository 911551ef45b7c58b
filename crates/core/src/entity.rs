//! Snapshots of the entities in events, one type for each kind with a table of its own.

mod account;
mod dispute;
mod downtime;
mod fields;
mod generic;
mod invoice;
mod notification;
mod order;
mod payment;
mod payment_link;
mod refund;
mod validation;

pub use account::Account;
pub use dispute::Dispute;
pub use downtime::{Downtime, Instrument};
pub use generic::GenericEntity;
pub use invoice::Invoice;
pub use notification::Notification;
pub use order::Order;
pub use payment::Payment;
pub use payment_link::PaymentLink;
pub use refund::Refund;
pub use validation::Validation;

use std::fmt;

use serde_json::value::RawValue;

use crate::event::{ContentError, Head};
use crate::precedence::{Precedence, standing_of, standing_of_dispute};
use crate::text::Text;
use crate::time::EventTime;
use compact_str::ToCompactString;

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
        match self {
            Self::Payment(_) => Payment::KIND,
            Self::Order(_) => Order::KIND,
            Self::Refund(_) => Refund::KIND,
            Self::Dispute(_) => Dispute::KIND,
            Self::Downtime(_) => Downtime::KIND,
            Self::Invoice(_) => Invoice::KIND,
            Self::Validation(_) => Validation::KIND,
            Self::Account(_) => Account::KIND,
            Self::PaymentLink(_) => PaymentLink::KIND,
            Self::Notification(_) => Notification::KIND,
            Self::Generic(entity) => &entity.kind,
        }
    }

    /// The state of an entity that has no merged table of its own.
    pub(crate) fn state(&self) -> Option<GenericEntity> {
        let of = |id: &dyn fmt::Display, status: Option<&Text>| GenericEntity {
            kind: self.kind().into(),
            id: id.to_compact_string(),
            status: status.cloned(),
            amount: None,
            currency: None,
            created_at: None,
        };
        Some(match self {
            Self::Payment(_) | Self::Order(_) | Self::Refund(_) | Self::Dispute(_) => return None,
            Self::Generic(e) => e.clone(),
            Self::Downtime(e) => of(&e.id, Some(&e.status)),
            Self::Account(e) => of(&e.id, e.status.as_ref()),
            Self::Notification(e) => of(&e.id, Some(&e.status)),
            Self::Invoice(e) => GenericEntity {
                amount: e.amount,
                currency: e.currency.clone(),
                ..of(&e.id, Some(&e.status))
            },
            Self::Validation(e) => GenericEntity {
                amount: e.amount,
                currency: e.currency.clone(),
                ..of(&e.id, Some(&e.status))
            },
            Self::PaymentLink(e) => GenericEntity {
                amount: e.amount,
                currency: e.currency.clone(),
                ..of(&e.id, Some(&e.status))
            },
        })
    }

    /// The precedence of this snapshot in an event.
    pub(crate) fn precedence(&self, at: Option<EventTime>, is_primary: bool) -> Precedence {
        let standing = match self {
            Self::Payment(e) => standing_of(Payment::KIND, Some(&e.status)),
            Self::Order(e) => standing_of(Order::KIND, Some(&e.status)),
            Self::Refund(e) => standing_of(Refund::KIND, Some(&e.status)),
            Self::Dispute(e) => standing_of_dispute(e.phase.as_deref(), &e.status),
            Self::Downtime(e) => standing_of(Downtime::KIND, Some(&e.status)),
            Self::Invoice(e) => standing_of(Invoice::KIND, Some(&e.status)),
            Self::Validation(e) => standing_of(Validation::KIND, Some(&e.status)),
            Self::Account(e) => standing_of(Account::KIND, e.status.as_deref()),
            Self::PaymentLink(e) => standing_of(PaymentLink::KIND, Some(&e.status)),
            Self::Notification(e) => standing_of(Notification::KIND, Some(&e.status)),
            Self::Generic(e) => standing_of(&e.kind, e.status.as_deref()),
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
