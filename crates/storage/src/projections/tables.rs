//! The tables, each described as its columns besides those that all of its kind have.

use std::sync::LazyLock;

use harkara_core::entity::{
    Account, Dispute, Downtime, GenericEntity, Invoice, Notification, Order, Payment, Refund,
    Validation,
};
use harkara_core::projection::PaymentLinkEvent;

use super::column::{Column, Get, Growth, columns, event_type};
use super::history_table::HistoryTable;
use super::merged_table::MergedTable;

pub(super) static ORDERS: LazyLock<MergedTable<Order>> = LazyLock::new(|| {
    MergedTable::new(
        "payment_orders",
        Some(Order::KIND),
        columns! { required: order_id = id; },
        columns! {
            required: status;
            amount: amount;
            greatest_amount: amount_paid;
            least_amount: amount_due;
            text: currency, receipt, offer_id;
            greatest: attempts;
            time: razorpay_created_at = created_at;
        },
    )
});

pub(super) static PAYMENTS: LazyLock<MergedTable<Payment>> = LazyLock::new(|| {
    MergedTable::new(
        "payment_transactions",
        Some(Payment::KIND),
        columns! { required: payment_id = id; },
        columns! {
            required: status;
            text: order_id, invoice_id, method, currency;
            amount: amount, fee, tax;
            greatest_amount: amount_refunded;
            refund_status: refund_status;
            bool: captured;
            bool: international;
            text: bank, wallet, card_id;
            text: error_code, error_description, error_source, error_step, error_reason;
            time: razorpay_created_at = created_at;
        },
    )
});

pub(super) static REFUNDS: LazyLock<MergedTable<Refund>> = LazyLock::new(|| {
    MergedTable::new(
        "payment_refunds",
        Some(Refund::KIND),
        columns! { required: refund_id = id; },
        columns! {
            required: status;
            amount: amount;
            text: payment_id, currency, speed_requested, speed_processed, receipt, batch_id;
            time: razorpay_created_at = created_at;
        },
    )
});

pub(super) static DISPUTES: LazyLock<MergedTable<Dispute>> = LazyLock::new(|| {
    MergedTable::new(
        "payment_disputes",
        Some(Dispute::KIND),
        columns! { required: dispute_id = id; },
        columns! {
            required: status;
            text: payment_id, phase, reason_code, currency;
            amount: amount, amount_deducted;
            time: respond_by, razorpay_created_at = created_at;
        },
    )
});

/// The state of every entity that has no merged table.
pub(super) static SNAPSHOTS: LazyLock<MergedTable<GenericEntity>> = LazyLock::new(|| {
    MergedTable::new(
        "entity_snapshots",
        None,
        columns! { required: entity_type = kind, entity_id = id; },
        {
            let mut columns: Vec<Column<GenericEntity>> = columns! {
                text: status, currency;
                amount: amount;
                time: razorpay_created_at = created_at;
            };
            columns.push(event_type());
            columns
        },
    )
});

pub(super) static DOWNTIMES: LazyLock<HistoryTable<Downtime>> = LazyLock::new(|| {
    HistoryTable::with_account_id(
        "downtime_events",
        columns! {
            required: downtime_id = id, status;
            text: method, severity;
            bool: scheduled;
            time: begin_at, end_at;
            text: instrument_bank = instrument.bank, instrument_network = instrument.network,
                instrument_issuer = instrument.issuer, instrument_card_type = instrument.card_type,
                instrument_vpa_handle = instrument.vpa_handle, instrument_psp = instrument.psp,
                instrument_flow = instrument.flow;
        },
    )
});

pub(super) static INVOICES: LazyLock<HistoryTable<Invoice>> = LazyLock::new(|| {
    HistoryTable::with_account_id(
        "invoice_events",
        columns! {
            required: invoice_id = id, status;
            text: order_id, payment_id, customer_id, invoice_type, invoice_number, receipt, currency;
            amount: amount, amount_paid, amount_due;
            time: issued_at, paid_at, expire_by, expired_at, cancelled_at;
        },
    )
});

pub(super) static VALIDATIONS: LazyLock<HistoryTable<Validation>> = LazyLock::new(|| {
    HistoryTable::with_account_id(
        "fund_account_events",
        columns! {
            required: validation_id = id, status;
            text: fund_account_id, contact_id, account_type, currency, account_status, utr;
            amount: amount;
            bigint: name_match_score;
        },
    )
});

/// The account id is the entity's own, not the envelope's.
pub(super) static ACCOUNTS: LazyLock<HistoryTable<Account>> = LazyLock::new(|| {
    HistoryTable::new(
        "account_events",
        columns! {
            required: account_id = id;
            text: status, business_type;
            bool: activated, live, hold_funds;
            time: activated_at, suspended_at;
        },
    )
});

pub(super) static PAYMENT_LINKS: LazyLock<HistoryTable<PaymentLinkEvent>> = LazyLock::new(|| {
    HistoryTable::with_account_id(
        "payment_link_events",
        columns! {
            required: payment_link_id = link.id, status = link.status;
            text: order_id = link.order_id, payment_id, reference_id = link.reference_id;
            text: currency = link.currency, short_url = link.short_url;
            amount: amount = link.amount, amount_paid = link.amount_paid;
            bool: accept_partial = link.accept_partial;
            time: expire_by = link.expire_by, expired_at = link.expired_at, cancelled_at = link.cancelled_at;
        },
    )
});

/// Pre-debit notifications of orders.
pub(super) static NOTIFICATIONS: LazyLock<HistoryTable<Notification>> = LazyLock::new(|| {
    HistoryTable::with_account_id(
        "order_notifications",
        columns! {
            required: notification_id = id, status;
            text: order_id, token_id;
            time: delivered_at, payment_after;
        },
    )
});
