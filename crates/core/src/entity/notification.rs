//! Pre-debit notifications of orders.

use serde_json::value::RawValue;

use super::fields::{Place, latest, reference};
use crate::event::{ContentError, raw_fields};
use crate::ids::{NotificationId, OrderId};
use crate::text::Text;
use crate::time::EventTime;

/// A notice to a customer before a recurring payment is debited.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Notification {
    pub id: NotificationId,
    pub order_id: Option<OrderId>,
    pub token_id: Option<Text>,
    pub status: Text,
    pub delivered_at: Option<EventTime>,
    pub payment_after: Option<EventTime>,
}

raw_fields! { struct Raw { id, order_id, token_id, status, delivered_at, payment_after, created_at } }

impl Notification {
    /// The payload key.
    pub const KIND: &'static str = "notification";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let notification = Self {
            id: at.id(&raw.id, NotificationId::parse)?,
            order_id: reference(&raw.order_id, OrderId::reference),
            token_id: raw.token_id.text(),
            status: at.required("status", &raw.status)?,
            delivered_at: raw.delivered_at.instant(),
            payment_after: raw.payment_after.instant(),
        };
        Ok((notification, latest(&[&raw.created_at, &raw.delivered_at])))
    }
}
