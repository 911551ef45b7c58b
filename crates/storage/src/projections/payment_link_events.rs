//! Payment links.

use std::sync::OnceLock;

use harkara_core::ids::{OrderId, PaymentId};
use harkara_core::projection::PaymentLinkEvent;

use super::column::{Column, account_id, code, minor};
use super::history_table::HistoryTable;

pub(super) static TABLE: HistoryTable<PaymentLinkEvent> = HistoryTable {
    name: "payment_link_events",
    columns: || {
        vec![
            account_id(),
            Column::text("payment_link_id", |s| Some(s.entity.link.id.as_str())),
            Column::text("order_id", |s| {
                s.entity.link.order_id.as_ref().map(OrderId::as_str)
            }),
            Column::text("payment_id", |s| {
                s.entity.payment_id.as_ref().map(PaymentId::as_str)
            }),
            Column::text("status", |s| Some(&s.entity.link.status)),
            Column::text("reference_id", |s| s.entity.link.reference_id.as_deref()),
            Column::bigint("amount", |s| minor(s.entity.link.amount)),
            Column::bigint("amount_paid", |s| minor(s.entity.link.amount_paid)),
            Column::text("currency", |s| code(s.entity.link.currency.as_ref())),
            Column::bool("accept_partial", |s| s.entity.link.accept_partial),
            Column::text("short_url", |s| s.entity.link.short_url.as_deref()),
            Column::time("expire_by", |s| s.entity.link.expire_by),
            Column::time("expired_at", |s| s.entity.link.expired_at),
            Column::time("cancelled_at", |s| s.entity.link.cancelled_at),
        ]
    },
    made: OnceLock::new(),
};
