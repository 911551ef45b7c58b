//! Payment links.

use serde_json::value::RawValue;

use super::fields::{Place, currency, latest, reference};
use crate::event::{ContentError, raw_fields};
use crate::ids::{OrderId, PaymentLinkId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// A payment link. Unset times are 0 in the body and `None` here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct PaymentLink {
    pub id: PaymentLinkId,
    pub order_id: Option<OrderId>,
    pub status: Text,
    pub reference_id: Option<Text>,
    pub amount: Option<MinorUnits>,
    pub amount_paid: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub accept_partial: Option<bool>,
    pub short_url: Option<Text>,
    pub expire_by: Option<EventTime>,
    pub expired_at: Option<EventTime>,
    pub cancelled_at: Option<EventTime>,
}

raw_fields! { struct Raw {
    id, order_id, status, reference_id, amount, amount_paid, currency, accept_partial, short_url, expire_by,
    expired_at, cancelled_at, created_at, updated_at,
} }

impl PaymentLink {
    /// The payload key.
    pub const KIND: &'static str = "payment_link";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let link = Self {
            id: at.id(&raw.id, PaymentLinkId::parse)?,
            order_id: reference(&raw.order_id, OrderId::reference),
            status: at.required("status", &raw.status)?,
            reference_id: raw.reference_id.text(),
            amount: at.amount("amount", &raw.amount)?,
            amount_paid: at.amount("amount_paid", &raw.amount_paid)?,
            currency: currency(&raw.currency),
            accept_partial: raw.accept_partial.flag(),
            short_url: raw.short_url.text(),
            expire_by: raw.expire_by.instant(),
            expired_at: raw.expired_at.instant(),
            cancelled_at: raw.cancelled_at.instant(),
        };
        Ok((
            link,
            latest(&[
                &raw.created_at,
                &raw.updated_at,
                &raw.expired_at,
                &raw.cancelled_at,
            ]),
        ))
    }
}
