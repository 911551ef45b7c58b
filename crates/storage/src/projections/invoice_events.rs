//! Invoices.

use std::sync::OnceLock;

use harkara_core::entity::Invoice;
use harkara_core::ids::{OrderId, PaymentId};

use super::column::{Column, account_id, code, minor};
use super::history_table::HistoryTable;

pub(super) static TABLE: HistoryTable<Invoice> = HistoryTable {
    name: "invoice_events",
    columns: || {
        vec![
            account_id(),
            Column::text("invoice_id", |s| Some(s.entity.id.as_str())),
            Column::text("order_id", |s| {
                s.entity.order_id.as_ref().map(OrderId::as_str)
            }),
            Column::text("payment_id", |s| {
                s.entity.payment_id.as_ref().map(PaymentId::as_str)
            }),
            Column::text("customer_id", |s| s.entity.customer_id.as_deref()),
            Column::text("status", |s| Some(&s.entity.status)),
            Column::text("invoice_type", |s| s.entity.invoice_type.as_deref()),
            Column::text("invoice_number", |s| s.entity.invoice_number.as_deref()),
            Column::text("receipt", |s| s.entity.receipt.as_deref()),
            Column::bigint("amount", |s| minor(s.entity.amount)),
            Column::bigint("amount_paid", |s| minor(s.entity.amount_paid)),
            Column::bigint("amount_due", |s| minor(s.entity.amount_due)),
            Column::text("currency", |s| code(s.entity.currency.as_ref())),
            Column::time("issued_at", |s| s.entity.issued_at),
            Column::time("paid_at", |s| s.entity.paid_at),
            Column::time("expire_by", |s| s.entity.expire_by),
            Column::time("expired_at", |s| s.entity.expired_at),
            Column::time("cancelled_at", |s| s.entity.cancelled_at),
        ]
    },
    made: OnceLock::new(),
};
