//! Orders.

use std::sync::OnceLock;

use harkara_core::entity::Order;

use super::column::{Column, Growth, code, minor};
use super::merged_table::{EntityType, MergedTable};

pub(super) static TABLE: MergedTable<Order> = MergedTable {
    name: "payment_orders",
    entity_type: EntityType::Constant(Order::KIND),
    key: || vec![Column::text("order_id", |s| Some(s.entity.id.as_str()))],
    columns: || {
        vec![
            Column::text("status", |s| Some(&s.entity.status)),
            Column::bigint("amount", |s| minor(s.entity.amount)),
            Column::growing_bigint("amount_paid", Growth::Greatest, |s| {
                minor(s.entity.amount_paid)
            }),
            Column::growing_bigint("amount_due", Growth::Least, |s| minor(s.entity.amount_due)),
            Column::text("currency", |s| code(s.entity.currency.as_ref())),
            Column::text("receipt", |s| s.entity.receipt.as_deref()),
            Column::text("offer_id", |s| s.entity.offer_id.as_deref()),
            Column::growing_bigint("attempts", Growth::Greatest, |s| s.entity.attempts),
            Column::time("razorpay_created_at", |s| s.entity.created_at),
        ]
    },
    made: OnceLock::new(),
};
