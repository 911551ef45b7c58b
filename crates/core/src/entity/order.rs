//! Orders.

use serde_json::value::RawValue;

use super::fields::{Place, currency, latest};
use crate::event::{ContentError, raw_fields};
use crate::ids::OrderId;
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Order {
    pub id: OrderId,
    pub status: Text,
    pub amount: Option<MinorUnits>,
    pub amount_paid: Option<MinorUnits>,
    pub amount_due: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub receipt: Option<Text>,
    pub offer_id: Option<Text>,
    pub attempts: Option<i64>,
    pub created_at: Option<EventTime>,
}

raw_fields! { struct Raw {
    id, status, amount, amount_paid, amount_due, currency, receipt, offer_id, attempts, created_at, updated_at,
} }

impl Order {
    /// The payload key.
    pub const KIND: &'static str = "order";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let order = Self {
            id: at.id(&raw.id, OrderId::parse)?,
            status: at.required("status", &raw.status)?,
            amount: at.amount("amount", &raw.amount)?,
            amount_paid: at.amount("amount_paid", &raw.amount_paid)?,
            amount_due: at.amount("amount_due", &raw.amount_due)?,
            currency: currency(&raw.currency),
            receipt: raw.receipt.text(),
            offer_id: raw.offer_id.text(),
            attempts: raw.attempts.number(),
            created_at: raw.created_at.instant(),
        };
        Ok((order, latest(&[&raw.created_at, &raw.updated_at])))
    }
}
