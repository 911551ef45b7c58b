//! The ledger rows of new events.

use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::durability::Durability;
use harkara_core::ids::AccountId;
use harkara_core::secret::Fingerprint;
use harkara_core::time::EventTime;

use super::identify::Identified;
use crate::StorageError;
use crate::record::EventRecord;
use crate::statement::{Rows, SqlText, Statement};
use crate::statement_times::Named;

static INSERT: SqlText = SqlText::cut(
    "INSERT INTO webhook_events (razorpay_event_id, event_type, account_id, endpoint, lane, status, body, \
       body_sha256, signature, occurred_at, created_at, processed_at, next_attempt_at, error, traceparent, \
       tracestate, durability, secret_fingerprint, attempts) \
     SELECT id, event_type, account_id, endpoint, lane, status, body, sha, signature, \
       to_timestamp(occurred_at), to_timestamp(ms::float8 / 1000), \
       CASE WHEN status = 'processed' THEN clock_timestamp() END, \
       now() + retry_ms * interval '1 millisecond', error, traceparent, tracestate, durability, \
       secret_fingerprint, attempts \
     FROM ({}) AS i",
);

/// Writes the ledger rows of new events.
pub(super) async fn insert(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    identified: &Identified,
) -> Result<(), StorageError> {
    if identified.new.is_empty() {
        return Ok(());
    }
    insert_all(connection, records, identified).await
}

/// The same with no rows too.
pub(super) async fn insert_all(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    identified: &Identified,
) -> Result<(), StorageError> {
    let new = identified.new.iter();
    let columns = Rows::of(new.map(|&at| (&records[at], identified.event_id(records, at))))
        .text("id", |(_, event_id)| Some(event_id.as_str()))
        .text("event_type", |(r, _)| Some(&r.claimed.event_type))
        .text("account_id", |(r, _)| {
            r.account_id.as_ref().map(AccountId::as_str)
        })
        .text("endpoint", |(r, _)| Some(&r.claimed.endpoint))
        .text("lane", |(r, _)| Some(r.claimed.lane.as_str()))
        .text("status", |(r, _)| Some(r.verdict.status().as_str()))
        .text("signature", |(r, _)| Some(&r.claimed.signature))
        .text("error", |(r, _)| r.verdict.error())
        .text("traceparent", |(r, _)| {
            not_empty(&r.claimed.trace.traceparent)
        })
        .text("tracestate", |(r, _)| {
            not_empty(&r.claimed.trace.tracestate)
        })
        .text("durability", |(r, _)| {
            r.claimed.durability.map(Durability::as_str)
        })
        .text("secret_fingerprint", |(r, _)| {
            r.claimed
                .secret_fingerprint
                .as_ref()
                .map(Fingerprint::as_str)
        })
        .bytes("body", |(r, _)| &r.claimed.body)
        .bytes("sha", |(r, _)| &r.claimed.body_sha256)
        .bigint("occurred_at", |(r, _)| {
            r.occurred_at.map(EventTime::seconds)
        })
        .bigint("ms", |(r, _)| Some(r.claimed.received_at.millis()))
        .bigint("attempts", |(r, _)| Some(r.attempts().into()))
        .bigint("retry_ms", |(r, _)| r.verdict.retry_after_millis())
        .columns();
    Statement::<()>::new(&INSERT, columns)
        .execute(&mut &*connection)
        .named("insert ledger rows")
        .await
        .map(drop)
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
