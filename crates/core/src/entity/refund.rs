//! Refunds.

use serde_json::value::RawValue;

use super::fields::{Place, currency, latest, reference};
use crate::event::{ContentError, raw_fields};
use crate::ids::{PaymentId, RefundId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Refund {
    pub id: RefundId,
    pub payment_id: Option<PaymentId>,
    pub status: Text,
    pub amount: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub speed_requested: Option<Text>,
    pub speed_processed: Option<Text>,
    pub receipt: Option<Text>,
    pub batch_id: Option<Text>,
    pub created_at: Option<EventTime>,
}

raw_fields! { struct Raw {
    id, payment_id, status, amount, currency, speed_requested, speed_processed, receipt, batch_id, created_at,
} }

impl Refund {
    /// The payload key.
    pub const KIND: &'static str = "refund";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let refund = Self {
            id: at.id(&raw.id, RefundId::parse)?,
            payment_id: reference(&raw.payment_id, PaymentId::reference),
            status: at.required("status", &raw.status)?,
            amount: at.amount("amount", &raw.amount)?,
            currency: currency(&raw.currency),
            speed_requested: raw.speed_requested.text(),
            speed_processed: raw.speed_processed.text(),
            receipt: raw.receipt.text(),
            batch_id: raw.batch_id.text(),
            created_at: raw.created_at.instant(),
        };
        Ok((refund, latest(&[&raw.created_at])))
    }
}
