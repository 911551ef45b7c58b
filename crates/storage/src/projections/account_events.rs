//! Accounts. The id is the entity's own, not the envelope's.

use std::sync::OnceLock;

use harkara_core::entity::Account;

use super::column::Column;
use super::history_table::HistoryTable;

pub(super) static TABLE: HistoryTable<Account> = HistoryTable {
    name: "account_events",
    columns: || {
        vec![
            Column::text("account_id", |s| Some(s.entity.id.as_str())),
            Column::text("status", |s| s.entity.status.as_deref()),
            Column::bool("activated", |s| s.entity.activated),
            Column::bool("live", |s| s.entity.live),
            Column::bool("hold_funds", |s| s.entity.hold_funds),
            Column::time("activated_at", |s| s.entity.activated_at),
            Column::time("suspended_at", |s| s.entity.suspended_at),
            Column::text("business_type", |s| s.entity.business_type.as_deref()),
        ]
    },
    made: OnceLock::new(),
};
