//! Invoices.

use super::fields::entity;
use crate::ids::{InvoiceId, OrderId, PaymentId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

entity! {
    /// An invoice, or a legacy payment link (whose `invoice_type` is `link`).
    Invoice = "invoice" {
        id: InvoiceId,
        order_id: Option<OrderId>,
        payment_id: Option<PaymentId>,
        customer_id: Option<Text>,
        status: Text,
        invoice_type["type"]: Option<Text>,
        invoice_number: Option<Text>,
        receipt: Option<Text>,
        amount: Option<MinorUnits>,
        amount_paid: Option<MinorUnits>,
        amount_due: Option<MinorUnits>,
        currency: Option<Currency>,
        issued_at: Option<EventTime>,
        paid_at: Option<EventTime>,
        expire_by: Option<EventTime>,
        expired_at: Option<EventTime>,
        cancelled_at: Option<EventTime>,
    }
    also { created_at }
    latest { created_at, issued_at, paid_at, expired_at, cancelled_at }
}
