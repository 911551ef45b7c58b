//! Disputes.

use serde_json::value::RawValue;

use super::fields::{Place, currency, latest, reference};
use crate::event::{ContentError, raw_fields};
use crate::ids::{DisputeId, PaymentId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// A dispute over a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Dispute {
    pub id: DisputeId,
    pub payment_id: Option<PaymentId>,
    pub status: Text,
    pub phase: Option<Text>,
    pub reason_code: Option<Text>,
    pub amount: Option<MinorUnits>,
    pub amount_deducted: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub respond_by: Option<EventTime>,
    pub created_at: Option<EventTime>,
}

raw_fields! { struct Raw {
    id, payment_id, status, phase, reason_code, amount, amount_deducted, currency, respond_by, created_at,
} }

impl Dispute {
    /// The payload key.
    pub const KIND: &'static str = "dispute";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let dispute = Self {
            id: at.id(&raw.id, DisputeId::parse)?,
            payment_id: reference(&raw.payment_id, PaymentId::reference),
            status: at.required("status", &raw.status)?,
            phase: raw.phase.text(),
            reason_code: raw.reason_code.text(),
            amount: at.amount("amount", &raw.amount)?,
            amount_deducted: at.amount("amount_deducted", &raw.amount_deducted)?,
            currency: currency(&raw.currency),
            respond_by: raw.respond_by.instant(),
            created_at: raw.created_at.instant(),
        };
        Ok((dispute, latest(&[&raw.created_at])))
    }
}
