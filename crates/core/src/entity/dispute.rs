//! Disputes.

use super::fields::entity;
use crate::ids::{DisputeId, PaymentId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

entity! {
    /// A dispute over a payment.
    Dispute = "dispute" {
        id: DisputeId,
        payment_id: Option<PaymentId>,
        status: Text,
        phase: Option<Text>,
        reason_code: Option<Text>,
        amount: Option<MinorUnits>,
        amount_deducted: Option<MinorUnits>,
        currency: Option<Currency>,
        respond_by: Option<EventTime>,
        created_at: Option<EventTime>,
    }
    also {}
    latest { created_at }
}
