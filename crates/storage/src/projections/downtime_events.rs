//! Downtimes.

use std::sync::OnceLock;

use harkara_core::entity::Downtime;

use super::column::{Column, account_id};
use super::history_table::HistoryTable;

pub(super) static TABLE: HistoryTable<Downtime> = HistoryTable {
    name: "downtime_events",
    columns: || {
        vec![
            account_id(),
            Column::text("downtime_id", |s| Some(s.entity.id.as_str())),
            Column::text("status", |s| Some(&s.entity.status)),
            Column::text("method", |s| s.entity.method.as_deref()),
            Column::text("severity", |s| s.entity.severity.as_deref()),
            Column::bool("scheduled", |s| s.entity.scheduled),
            Column::time("begin_at", |s| s.entity.begin_at),
            Column::time("end_at", |s| s.entity.end_at),
            Column::text("instrument_bank", |s| s.entity.instrument.bank.as_deref()),
            Column::text("instrument_network", |s| {
                s.entity.instrument.network.as_deref()
            }),
            Column::text("instrument_issuer", |s| {
                s.entity.instrument.issuer.as_deref()
            }),
            Column::text("instrument_card_type", |s| {
                s.entity.instrument.card_type.as_deref()
            }),
            Column::text("instrument_vpa_handle", |s| {
                s.entity.instrument.vpa_handle.as_deref()
            }),
            Column::text("instrument_psp", |s| s.entity.instrument.psp.as_deref()),
            Column::text("instrument_flow", |s| s.entity.instrument.flow.as_deref()),
        ]
    },
    made: OnceLock::new(),
};
