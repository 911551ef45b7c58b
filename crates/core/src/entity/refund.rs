//! Refunds.

use super::fields::entity;
use crate::ids::{PaymentId, RefundId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

entity! {
    /// A refund.
    Refund = "refund" {
        id: RefundId,
        payment_id: Option<PaymentId>,
        status: Text,
        amount: Option<MinorUnits>,
        currency: Option<Currency>,
        speed_requested: Option<Text>,
        speed_processed: Option<Text>,
        receipt: Option<Text>,
        batch_id: Option<Text>,
        created_at: Option<EventTime>,
    }
    also {}
    latest { created_at }
}
