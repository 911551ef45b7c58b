//! Payment links.

use super::fields::entity;
use crate::ids::{OrderId, PaymentLinkId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

entity! {
    /// A payment link. Unset times are 0 in the body and `None` here.
    PaymentLink = "payment_link" {
        id: PaymentLinkId,
        order_id: Option<OrderId>,
        status: Text,
        reference_id: Option<Text>,
        amount: Option<MinorUnits>,
        amount_paid: Option<MinorUnits>,
        currency: Option<Currency>,
        accept_partial: Option<bool>,
        short_url: Option<Text>,
        expire_by: Option<EventTime>,
        expired_at: Option<EventTime>,
        cancelled_at: Option<EventTime>,
    }
    also { created_at, updated_at }
    latest { created_at, updated_at, expired_at, cancelled_at }
}
