//! Invoices.

use serde_json::value::RawValue;

use super::fields::{Place, currency, latest, reference};
use crate::event::{ContentError, raw_fields};
use crate::ids::{InvoiceId, OrderId, PaymentId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// An invoice, or a legacy payment link (`invoice_type` is then `link`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Invoice {
    pub id: InvoiceId,
    pub order_id: Option<OrderId>,
    pub payment_id: Option<PaymentId>,
    pub customer_id: Option<Text>,
    pub status: Text,
    pub invoice_type: Option<Text>,
    pub invoice_number: Option<Text>,
    pub receipt: Option<Text>,
    pub amount: Option<MinorUnits>,
    pub amount_paid: Option<MinorUnits>,
    pub amount_due: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub issued_at: Option<EventTime>,
    pub paid_at: Option<EventTime>,
    pub expire_by: Option<EventTime>,
    pub expired_at: Option<EventTime>,
    pub cancelled_at: Option<EventTime>,
}

raw_fields! { struct Raw {
    id, order_id, payment_id, customer_id, status, r#type, invoice_number, receipt, amount, amount_paid, amount_due,
    currency, issued_at, paid_at, expire_by, expired_at, cancelled_at, created_at,
} }

impl Invoice {
    /// The payload key.
    pub const KIND: &'static str = "invoice";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let invoice = Self {
            id: at.id(&raw.id, InvoiceId::parse)?,
            order_id: reference(&raw.order_id, OrderId::reference),
            payment_id: reference(&raw.payment_id, PaymentId::reference),
            customer_id: raw.customer_id.text(),
            status: at.required("status", &raw.status)?,
            invoice_type: raw.r#type.text(),
            invoice_number: raw.invoice_number.text(),
            receipt: raw.receipt.text(),
            amount: at.amount("amount", &raw.amount)?,
            amount_paid: at.amount("amount_paid", &raw.amount_paid)?,
            amount_due: at.amount("amount_due", &raw.amount_due)?,
            currency: currency(&raw.currency),
            issued_at: raw.issued_at.instant(),
            paid_at: raw.paid_at.instant(),
            expire_by: raw.expire_by.instant(),
            expired_at: raw.expired_at.instant(),
            cancelled_at: raw.cancelled_at.instant(),
        };
        Ok((
            invoice,
            latest(&[
                &raw.created_at,
                &raw.issued_at,
                &raw.paid_at,
                &raw.expired_at,
                &raw.cancelled_at,
            ]),
        ))
    }
}
