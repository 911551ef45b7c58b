//! Entities of families without typed handling.

use serde_json::value::RawValue;

use super::fields::{currency, latest};
use crate::event::{Head, Scalar, object, raw_fields};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// The common fields of all entities: everything known of untyped ones, and the current state of those whose
/// table is a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct GenericEntity {
    /// The payload key, such as `subscription`.
    pub kind: Text,
    pub id: Text,
    /// `status` or `activation_status`, or else, for the entity an event is about, the last part of the event's
    /// name (a `transfer` has no status).
    pub status: Option<Text>,
    pub amount: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub created_at: Option<EventTime>,
}

raw_fields! { struct Raw { id, status, activation_status, amount, currency, created_at, updated_at } }

impl GenericEntity {
    pub(super) fn read(
        key: &str,
        raw: &RawValue,
        head: &Head,
        is_primary: bool,
    ) -> Option<(Self, Option<EventTime>)> {
        // An array, or an object without an id, cannot have a row.
        let raw: Raw<'_> = object(raw)?;
        let id = raw.id.text()?;
        let kind = Scalar::Text(key.into()).text()?;
        let of_name = || {
            is_primary
                .then(|| head.name.rsplit('.').next().map(Text::from))
                .flatten()
        };
        let entity = Self {
            kind,
            id,
            status: raw
                .status
                .text()
                .or_else(|| raw.activation_status.text())
                .or_else(of_name),
            // The kind is unknown, so an odd amount is no reason to refuse the event.
            amount: raw.amount.minor_units().unwrap_or_default(),
            currency: currency(&raw.currency),
            created_at: raw.created_at.instant(),
        };
        Some((entity, latest(&[&raw.created_at, &raw.updated_at])))
    }
}
