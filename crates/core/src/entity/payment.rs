//! Payments.

use super::fields::entity;
use crate::ids::{InvoiceId, OrderId, PaymentId};
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

entity! {
    /// A payment. Contact, e-mail and VPA stay in the body: few readers of the rows need them.
    Payment = "payment" {
        id: PaymentId,
        order_id: Option<OrderId>,
        invoice_id: Option<InvoiceId>,
        status: Text,
        method: Option<Text>,
        amount: Option<MinorUnits>,
        currency: Option<Currency>,
        amount_refunded: Option<MinorUnits>,
        refund_status: Option<Text>,
        captured: Option<bool>,
        fee: Option<MinorUnits>,
        tax: Option<MinorUnits>,
        international: Option<bool>,
        bank: Option<Text>,
        wallet: Option<Text>,
        card_id: Option<Text>,
        error_code: Option<Text>,
        error_description: Option<Text>,
        error_source: Option<Text>,
        error_step: Option<Text>,
        error_reason: Option<Text>,
        created_at: Option<EventTime>,
    }
    also {}
    latest { created_at }
}
