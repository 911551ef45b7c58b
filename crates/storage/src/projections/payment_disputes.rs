//! Disputes.

use std::sync::OnceLock;

use harkara_core::entity::Dispute;
use harkara_core::ids::PaymentId;

use super::column::{Column, code, minor};
use super::merged_table::{EntityType, MergedTable};

pub(super) static TABLE: MergedTable<Dispute> = MergedTable {
    name: "payment_disputes",
    entity_type: EntityType::Constant(Dispute::KIND),
    key: || vec![Column::text("dispute_id", |s| Some(s.entity.id.as_str()))],
    columns: || {
        vec![
            Column::text("payment_id", |s| {
                s.entity.payment_id.as_ref().map(PaymentId::as_str)
            }),
            Column::text("status", |s| Some(&s.entity.status)),
            Column::text("phase", |s| s.entity.phase.as_deref()),
            Column::text("reason_code", |s| s.entity.reason_code.as_deref()),
            Column::bigint("amount", |s| minor(s.entity.amount)),
            Column::bigint("amount_deducted", |s| minor(s.entity.amount_deducted)),
            Column::text("currency", |s| code(s.entity.currency.as_ref())),
            Column::time("respond_by", |s| s.entity.respond_by),
            Column::time("razorpay_created_at", |s| s.entity.created_at),
        ]
    },
    made: OnceLock::new(),
};
