//! The state of every entity without a merged table of its own.

use std::sync::OnceLock;

use harkara_core::entity::GenericEntity;

use super::column::{Column, code, event_type, minor};
use super::merged_table::{EntityType, MergedTable};

pub(super) static TABLE: MergedTable<GenericEntity> = MergedTable {
    name: "entity_snapshots",
    entity_type: EntityType::Column("entity_type"),
    key: || {
        vec![
            Column::text("entity_type", |s| Some(&s.entity.kind)),
            Column::text("entity_id", |s| Some(&s.entity.id)),
        ]
    },
    columns: || {
        vec![
            Column::text("status", |s| s.entity.status.as_deref()),
            event_type(),
            Column::bigint("amount", |s| minor(s.entity.amount)),
            Column::text("currency", |s| code(s.entity.currency.as_ref())),
            Column::time("razorpay_created_at", |s| s.entity.created_at),
        ]
    },
    made: OnceLock::new(),
};
