//! The ledger rows of new events.

use std::sync::LazyLock;

use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::durability::Durability;
use harkara_core::ids::AccountId;
use harkara_core::secret::Fingerprint;
use harkara_core::time::EventTime;

use crate::StorageError;
use crate::record::EventRecord;
use crate::statement::{Rows, SqlText, Statement};
use crate::statement_times::Named;

/// Writes the ledger rows of new events.
pub(super) async fn insert(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    at: &[usize],
) -> Result<(), StorageError> {
    static TEXT: LazyLock<SqlText> = LazyLock::new(|| {
        SqlText::cut(
            "INSERT INTO webhook_events (razorpay_event_id, event_type, account_id, endpoint, lane, status, body, \
               body_sha256, signature, occurred_at, created_at, processed_at, next_attempt_at, error, traceparent, \
               tracestate, durability, secret_fingerprint, attempts) \
             SELECT id, event_type, account_id, endpoint, lane, status, body, sha, signature, \
               to_timestamp(occurred_at), to_timestamp(ms::float8 / 1000), \
               CASE WHEN status = 'processed' THEN clock_timestamp() END, \
               now() + retry_ms * interval '1 millisecond', error, traceparent, tracestate, durability, \
               secret_fingerprint, attempts \
             FROM ({}) AS i",
        )
    });
    if at.is_empty() {
        return Ok(());
    }
    let columns = Rows::of(at.iter().map(|&at| &records[at]))
        .text("id", |r| Some(r.claimed.event_id.as_str()))
        .text("event_type", |r| Some(&r.claimed.event_type))
        .text("account_id", |r| {
            r.account_id.as_ref().map(AccountId::as_str)
        })
        .text("endpoint", |r| Some(&r.claimed.endpoint))
        .text("lane", |r| Some(r.claimed.lane.as_str()))
        .text("status", |r| Some(r.verdict.status()))
        .text("signature", |r| Some(&r.claimed.signature))
        .text("error", |r| r.verdict.error())
        .text("traceparent", |r| not_empty(&r.claimed.trace.traceparent))
        .text("tracestate", |r| not_empty(&r.claimed.trace.tracestate))
        .text("durability", |r| {
            r.claimed.durability.map(Durability::as_str)
        })
        .text("secret_fingerprint", |r| {
            r.claimed
                .secret_fingerprint
                .as_ref()
                .map(Fingerprint::as_str)
        })
        .bytes("body", |r| &r.claimed.body)
        .bytes("sha", |r| &r.claimed.body_sha256)
        .bigint("occurred_at", |r| r.occurred_at.map(EventTime::seconds))
        .bigint("ms", |r| Some(r.claimed.received_at.millis()))
        .bigint("attempts", |r| Some(r.claimed.attempts().into()))
        .bigint("retry_ms", |r| r.verdict.retry_after_millis())
        .columns();
    Statement::<()>::new(&TEXT, columns)
        .execute(&mut &*connection)
        .named("insert ledger rows")
        .await?;
    Ok(())
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
