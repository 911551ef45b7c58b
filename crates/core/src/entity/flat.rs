//! The entities whose fields are all at the top.

use super::fields::entity;
use crate::ids::{
    DisputeId, InvoiceId, NotificationId, OrderId, PaymentId, PaymentLinkId, RefundId,
};
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
    latest { created_at }
}

entity! {
    /// An order.
    Order = "order" {
        id: OrderId,
        status: Text,
        amount: Option<MinorUnits>,
        amount_paid: Option<MinorUnits>,
        amount_due: Option<MinorUnits>,
        currency: Option<Currency>,
        receipt: Option<Text>,
        offer_id: Option<Text>,
        attempts: Option<i64>,
        created_at: Option<EventTime>,
    }
    also { updated_at }
    latest { created_at, updated_at }
}

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
    latest { created_at }
}

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
    latest { created_at }
}

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

entity! {
    /// A notice to a customer before a recurring payment is debited.
    Notification = "notification" {
        id: NotificationId,
        order_id: Option<OrderId>,
        token_id: Option<Text>,
        status: Text,
        delivered_at: Option<EventTime>,
        payment_after: Option<EventTime>,
    }
    also { created_at }
    latest { created_at, delivered_at }
}
