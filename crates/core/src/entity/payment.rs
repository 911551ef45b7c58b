//! Payments.

use serde_json::value::RawValue;

use super::fields::{Place, currency, latest, reference};
use crate::event::{ContentError, raw_fields};
use crate::ids::{InvoiceId, OrderId, PaymentId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// A payment. Contact, e-mail and VPA stay in the body: rows that many people read do not need them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Payment {
    pub id: PaymentId,
    pub order_id: Option<OrderId>,
    pub invoice_id: Option<InvoiceId>,
    pub status: Text,
    pub method: Option<Text>,
    pub amount: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub amount_refunded: Option<MinorUnits>,
    pub refund_status: Option<Text>,
    pub captured: Option<bool>,
    pub fee: Option<MinorUnits>,
    pub tax: Option<MinorUnits>,
    pub international: Option<bool>,
    pub bank: Option<Text>,
    pub wallet: Option<Text>,
    pub card_id: Option<Text>,
    pub error_code: Option<Text>,
    pub error_description: Option<Text>,
    pub error_source: Option<Text>,
    pub error_step: Option<Text>,
    pub error_reason: Option<Text>,
    pub created_at: Option<EventTime>,
}

raw_fields! { struct Raw {
    id, order_id, invoice_id, status, method, amount, currency, amount_refunded, refund_status, captured,
    fee, tax, international, bank, wallet, card_id, error_code, error_description, error_source,
    error_step, error_reason, created_at,
} }

impl Payment {
    /// The payload key.
    pub const KIND: &'static str = "payment";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let payment = Self {
            id: at.id(&raw.id, PaymentId::parse)?,
            order_id: reference(&raw.order_id, OrderId::reference),
            invoice_id: reference(&raw.invoice_id, InvoiceId::reference),
            status: at.required("status", &raw.status)?,
            method: raw.method.text(),
            amount: at.amount("amount", &raw.amount)?,
            currency: currency(&raw.currency),
            amount_refunded: at.amount("amount_refunded", &raw.amount_refunded)?,
            refund_status: raw.refund_status.text(),
            captured: raw.captured.flag(),
            fee: at.amount("fee", &raw.fee)?,
            tax: at.amount("tax", &raw.tax)?,
            international: raw.international.flag(),
            bank: raw.bank.text(),
            wallet: raw.wallet.text(),
            card_id: raw.card_id.text(),
            error_code: raw.error_code.text(),
            error_description: raw.error_description.text(),
            error_source: raw.error_source.text(),
            error_step: raw.error_step.text(),
            error_reason: raw.error_reason.text(),
            created_at: raw.created_at.instant(),
        };
        Ok((payment, latest(&[&raw.created_at])))
    }
}
