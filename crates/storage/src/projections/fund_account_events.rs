//! Fund account validations.

use std::sync::OnceLock;

use harkara_core::entity::Validation;

use super::column::{Column, account_id, code, minor};
use super::history_table::HistoryTable;

pub(super) static TABLE: HistoryTable<Validation> = HistoryTable {
    name: "fund_account_events",
    columns: || {
        vec![
            account_id(),
            Column::text("validation_id", |s| Some(s.entity.id.as_str())),
            Column::text("status", |s| Some(&s.entity.status)),
            Column::text("fund_account_id", |s| s.entity.fund_account_id.as_deref()),
            Column::text("contact_id", |s| s.entity.contact_id.as_deref()),
            Column::text("account_type", |s| s.entity.account_type.as_deref()),
            Column::bigint("amount", |s| minor(s.entity.amount)),
            Column::text("currency", |s| code(s.entity.currency.as_ref())),
            Column::text("account_status", |s| s.entity.account_status.as_deref()),
            Column::bigint("name_match_score", |s| s.entity.name_match_score),
            Column::text("utr", |s| s.entity.utr.as_deref()),
        ]
    },
    made: OnceLock::new(),
};
