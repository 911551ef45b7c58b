//! Refunds.

use std::sync::OnceLock;

use harkara_core::entity::Refund;
use harkara_core::ids::PaymentId;

use super::column::{Column, code, minor};
use super::merged_table::{EntityType, MergedTable};

pub(super) static TABLE: MergedTable<Refund> = MergedTable {
    name: "payment_refunds",
    entity_type: EntityType::Constant(Refund::KIND),
    key: || vec![Column::text("refund_id", |s| Some(s.entity.id.as_str()))],
    columns: || {
        vec![
            Column::text("payment_id", |s| {
                s.entity.payment_id.as_ref().map(PaymentId::as_str)
            }),
            Column::text("status", |s| Some(&s.entity.status)),
            Column::bigint("amount", |s| minor(s.entity.amount)),
            Column::text("currency", |s| code(s.entity.currency.as_ref())),
            Column::text("speed_requested", |s| s.entity.speed_requested.as_deref()),
            Column::text("speed_processed", |s| s.entity.speed_processed.as_deref()),
            Column::text("receipt", |s| s.entity.receipt.as_deref()),
            Column::text("batch_id", |s| s.entity.batch_id.as_deref()),
            Column::time("razorpay_created_at", |s| s.entity.created_at),
        ]
    },
    made: OnceLock::new(),
};
