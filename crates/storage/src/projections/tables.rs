//! The tables, each described as its columns besides those that all of its kind have.

use harkara_core::entity::{
    Account, Dispute, Downtime, GenericEntity, Invoice, Notification, Order, Payment, Refund,
    Validation,
};
use harkara_core::projection::PaymentLinkEvent;

use super::column::{BigIntField, Column, Growth, TextField, account_id, columns, event_type};
use super::history_table::HistoryTable;
use super::merged_table::{EntityType, MergedTable};

pub(super) static ORDERS: MergedTable<Order> = MergedTable::new(
    "payment_orders",
    EntityType::Constant(Order::KIND),
    || columns! { text: order_id = id; },
    || {
        columns! {
            text: status;
            bigint: amount;
            greatest: amount_paid;
            least: amount_due;
            text: currency, receipt, offer_id;
            greatest: attempts;
            time: razorpay_created_at = created_at;
        }
    },
);

pub(super) static PAYMENTS: MergedTable<Payment> = MergedTable::new(
    "payment_transactions",
    EntityType::Constant(Payment::KIND),
    || columns! { text: payment_id = id; },
    || {
        columns! {
            text: order_id, invoice_id, status, method;
            bigint: amount;
            text: currency;
            greatest: amount_refunded;
            refund_status: refund_status;
            bool: captured;
            bigint: fee, tax;
            bool: international;
            text: bank, wallet, card_id;
            text: error_code, error_description, error_source, error_step, error_reason;
            time: razorpay_created_at = created_at;
        }
    },
);

pub(super) static REFUNDS: MergedTable<Refund> = MergedTable::new(
    "payment_refunds",
    EntityType::Constant(Refund::KIND),
    || columns! { text: refund_id = id; },
    || {
        columns! {
            text: payment_id, status;
            bigint: amount;
            text: currency, speed_requested, speed_processed, receipt, batch_id;
            time: razorpay_created_at = created_at;
        }
    },
);

pub(super) static DISPUTES: MergedTable<Dispute> = MergedTable::new(
    "payment_disputes",
    EntityType::Constant(Dispute::KIND),
    || columns! { text: dispute_id = id; },
    || {
        columns! {
            text: payment_id, status, phase, reason_code;
            bigint: amount, amount_deducted;
            text: currency;
            time: respond_by, razorpay_created_at = created_at;
        }
    },
);

/// The state of every entity without a merged table of its own.
pub(super) static SNAPSHOTS: MergedTable<GenericEntity> = MergedTable::new(
    "entity_snapshots",
    EntityType::Column("entity_type"),
    || columns! { text: entity_type = kind, entity_id = id; },
    || {
        let mut columns: Vec<Column<GenericEntity>> = columns! {
            text: status;
            bigint: amount;
            text: currency;
            time: razorpay_created_at = created_at;
        };
        columns.push(event_type());
        columns
    },
);

pub(super) static DOWNTIMES: HistoryTable<Downtime> = HistoryTable::new("downtime_events", || {
    with_account_id(columns! {
        text: downtime_id = id, status, method, severity;
        bool: scheduled;
        time: begin_at, end_at;
        text: instrument_bank = instrument.bank, instrument_network = instrument.network,
            instrument_issuer = instrument.issuer, instrument_card_type = instrument.card_type,
            instrument_vpa_handle = instrument.vpa_handle, instrument_psp = instrument.psp,
            instrument_flow = instrument.flow;
    })
});

pub(super) static INVOICES: HistoryTable<Invoice> = HistoryTable::new("invoice_events", || {
    with_account_id(columns! {
        text: invoice_id = id, order_id, payment_id, customer_id, status, invoice_type;
        text: invoice_number, receipt;
        bigint: amount, amount_paid, amount_due;
        text: currency;
        time: issued_at, paid_at, expire_by, expired_at, cancelled_at;
    })
});

pub(super) static VALIDATIONS: HistoryTable<Validation> =
    HistoryTable::new("fund_account_events", || {
        with_account_id(columns! {
            text: validation_id = id, status, fund_account_id, contact_id, account_type;
            bigint: amount;
            text: currency, account_status;
            bigint: name_match_score;
            text: utr;
        })
    });

/// The account id is the entity's own, not the envelope's.
pub(super) static ACCOUNTS: HistoryTable<Account> = HistoryTable::new("account_events", || {
    columns! {
        text: account_id = id, status;
        bool: activated, live, hold_funds;
        time: activated_at, suspended_at;
        text: business_type;
    }
});

pub(super) static PAYMENT_LINKS: HistoryTable<PaymentLinkEvent> = HistoryTable::new(
    "payment_link_events",
    || {
        with_account_id(columns! {
            text: payment_link_id = link.id, order_id = link.order_id, payment_id;
            text: status = link.status, reference_id = link.reference_id;
            bigint: amount = link.amount, amount_paid = link.amount_paid;
            text: currency = link.currency;
            bool: accept_partial = link.accept_partial;
            text: short_url = link.short_url;
            time: expire_by = link.expire_by, expired_at = link.expired_at, cancelled_at = link.cancelled_at;
        })
    },
);

/// Pre-debit notifications of orders.
pub(super) static NOTIFICATIONS: HistoryTable<Notification> =
    HistoryTable::new("order_notifications", || {
        with_account_id(columns! {
            text: notification_id = id, order_id, token_id, status;
            time: delivered_at, payment_after;
        })
    });

fn with_account_id<T>(mut columns: Vec<Column<T>>) -> Vec<Column<T>> {
    columns.push(account_id());
    columns
}
