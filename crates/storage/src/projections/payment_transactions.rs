//! Payments.

use std::sync::OnceLock;

use harkara_core::entity::Payment;
use harkara_core::ids::{InvoiceId, OrderId};

use super::column::{Column, Growth, code, minor};
use super::merged_table::{EntityType, MergedTable};

pub(super) static TABLE: MergedTable<Payment> = MergedTable {
    name: "payment_transactions",
    entity_type: EntityType::Constant(Payment::KIND),
    key: || vec![Column::text("payment_id", |s| Some(s.entity.id.as_str()))],
    columns: || {
        vec![
            Column::text("order_id", |s| {
                s.entity.order_id.as_ref().map(OrderId::as_str)
            }),
            Column::text("invoice_id", |s| {
                s.entity.invoice_id.as_ref().map(InvoiceId::as_str)
            }),
            Column::text("status", |s| Some(&s.entity.status)),
            Column::text("method", |s| s.entity.method.as_deref()),
            Column::bigint("amount", |s| minor(s.entity.amount)),
            Column::text("currency", |s| code(s.entity.currency.as_ref())),
            Column::growing_bigint("amount_refunded", Growth::Greatest, |s| {
                minor(s.entity.amount_refunded)
            }),
            Column::growing_text("refund_status", Growth::RefundStatus, |s| {
                s.entity.refund_status.as_deref()
            }),
            Column::bool("captured", |s| s.entity.captured),
            Column::bigint("fee", |s| minor(s.entity.fee)),
            Column::bigint("tax", |s| minor(s.entity.tax)),
            Column::bool("international", |s| s.entity.international),
            Column::text("bank", |s| s.entity.bank.as_deref()),
            Column::text("wallet", |s| s.entity.wallet.as_deref()),
            Column::text("card_id", |s| s.entity.card_id.as_deref()),
            Column::text("error_code", |s| s.entity.error_code.as_deref()),
            Column::text("error_description", |s| {
                s.entity.error_description.as_deref()
            }),
            Column::text("error_source", |s| s.entity.error_source.as_deref()),
            Column::text("error_step", |s| s.entity.error_step.as_deref()),
            Column::text("error_reason", |s| s.entity.error_reason.as_deref()),
            Column::time("razorpay_created_at", |s| s.entity.created_at),
        ]
    },
    made: OnceLock::new(),
};
