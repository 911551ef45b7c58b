//! Events as JSON objects, the same in every command.

use harkara_storage::ledger::{Change, EventRow};
use serde::Serialize;

use crate::output::rfc3339;

/// An event without its body. Field names are the ledger's columns, except for those derived.
#[derive(Serialize)]
pub(crate) struct EventJson<'a> {
    razorpay_event_id: &'a str,
    event_type: &'a str,
    account_id: Option<&'a str>,
    endpoint: &'a str,
    lane: &'a str,
    status: &'a str,
    processed: bool,
    occurred_at: Option<String>,
    created_at: String,
    processed_at: Option<String>,
    commit_ms: Option<i64>,
    duplicates: i32,
    other_id_duplicates: i32,
    attempts: i32,
    next_attempt_at: Option<String>,
    error: Option<&'a str>,
    trace_id: Option<&'a str>,
    traceparent: Option<&'a str>,
    durability: Option<&'a str>,
    secret_fingerprint: Option<&'a str>,
    body_bytes: i32,
}

impl<'a> From<&'a EventRow> for EventJson<'a> {
    fn from(row: &'a EventRow) -> Self {
        Self {
            razorpay_event_id: &row.razorpay_event_id,
            event_type: &row.event_type,
            account_id: row.account_id.as_deref(),
            endpoint: &row.endpoint,
            lane: &row.lane,
            status: row.status.as_str(),
            processed: row.processed,
            occurred_at: row.occurred_at.map(rfc3339),
            created_at: rfc3339(row.created_at),
            processed_at: row.processed_at.map(rfc3339),
            commit_ms: commit_ms(row),
            duplicates: row.duplicates,
            other_id_duplicates: row.other_id_duplicates,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(rfc3339),
            error: row.error.as_deref(),
            trace_id: trace_id(row),
            traceparent: row.traceparent.as_deref(),
            durability: row.durability.as_deref(),
            secret_fingerprint: row.secret_fingerprint.as_deref(),
            body_bytes: row.body_bytes,
        }
    }
}

/// A row that an event changed. `from` is null where the row is new.
#[derive(Serialize)]
pub(crate) struct ChangeJson<'a> {
    table: &'a str,
    entity_id: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

impl<'a> From<&'a Change> for ChangeJson<'a> {
    fn from(change: &'a Change) -> Self {
        Self {
            table: &change.table_name,
            entity_id: &change.entity_id,
            from: change.from_status.as_deref(),
            to: change.to_status.as_deref(),
        }
    }
}

/// Milliseconds from receipt to commit.
pub(crate) fn commit_ms(row: &EventRow) -> Option<i64> {
    Some((row.processed_at? - row.created_at).num_milliseconds())
}

/// The trace id within the row's `traceparent`.
pub(crate) fn trace_id(row: &EventRow) -> Option<&str> {
    row.traceparent.as_deref()?.split('-').nth(1)
}
