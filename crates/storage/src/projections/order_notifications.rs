//! Pre-debit notifications of orders.

use std::sync::OnceLock;

use harkara_core::entity::Notification;
use harkara_core::ids::OrderId;

use super::column::{Column, account_id};
use super::history_table::HistoryTable;

pub(super) static TABLE: HistoryTable<Notification> = HistoryTable {
    name: "order_notifications",
    columns: || {
        vec![
            account_id(),
            Column::text("notification_id", |s| Some(s.entity.id.as_str())),
            Column::text("order_id", |s| {
                s.entity.order_id.as_ref().map(OrderId::as_str)
            }),
            Column::text("token_id", |s| s.entity.token_id.as_deref()),
            Column::text("status", |s| Some(&s.entity.status)),
            Column::time("delivered_at", |s| s.entity.delivered_at),
            Column::time("payment_after", |s| s.entity.payment_after),
        ]
    },
    made: OnceLock::new(),
};
