//! Settles leased ledger rows by their verdicts: the end of a retry or a replay.

use std::collections::HashSet;

use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::ids::AccountId;
use harkara_core::time::EventTime;

use crate::StorageError;
use crate::record::{EventRecord, Origin};
use crate::statement::{Rows, SqlText, Statement};
use crate::statement_times::Named;

/// The positions of a batch's ledger rows.
#[derive(Default)]
pub(super) struct LedgerRows {
    /// Those whose lease still held.
    pub(super) settled: Vec<usize>,
    /// Those that were settled, replayed or leased again since.
    pub(super) superseded: Vec<usize>,
}

static SETTLE: SqlText = SqlText::cut(
    "WITH verdict AS (\
       SELECT id, 'epoch'::timestamptz + us * interval '1 microsecond' AS at, \
         'epoch'::timestamptz + until_us * interval '1 microsecond' AS leased_until, \
         status, error, attempts, retry_ms, event_type, account_id, to_timestamp(occurred_at) AS occurred_at \
       FROM ({}) AS i\
     ), locked AS MATERIALIZED (\
       SELECT e.razorpay_event_id, e.created_at FROM webhook_events e \
       JOIN verdict v ON e.razorpay_event_id = v.id AND e.created_at = v.at \
       WHERE e.status = 'pending' AND e.next_attempt_at = v.leased_until \
       ORDER BY e.razorpay_event_id FOR UPDATE OF e\
     ) UPDATE webhook_events e \
     SET status = v.status, error = v.error, attempts = v.attempts, event_type = v.event_type, \
       processed_at = CASE WHEN v.status = 'processed' THEN clock_timestamp() END, \
       next_attempt_at = now() + v.retry_ms * interval '1 millisecond', \
       account_id = coalesce(v.account_id, e.account_id), occurred_at = coalesce(v.occurred_at, e.occurred_at) \
     FROM verdict v JOIN locked l ON l.razorpay_event_id = v.id AND l.created_at = v.at \
     WHERE e.razorpay_event_id = v.id AND e.created_at = v.at \
     RETURNING e.razorpay_event_id",
);

/// Settles the batch's ledger rows, except those that are no longer this lease's: a late commit changes
/// nothing.
pub(super) async fn pending(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
) -> Result<LedgerRows, StorageError> {
    let leased: Vec<(usize, &EventRecord, i64, i64)> = records
        .iter()
        .enumerate()
        .filter_map(|(at, record)| match record.claimed.origin {
            Origin::Ledger {
                leased_until_micros,
                created_at_micros,
                ..
            } => Some((at, record, leased_until_micros, created_at_micros)),
            Origin::Stream(_) | Origin::Inbox => None,
        })
        .collect();
    if leased.is_empty() {
        return Ok(LedgerRows::default());
    }
    let columns = Rows::of(&leased)
        .text("id", |(_, r, ..)| Some(r.claimed.event_id.as_str()))
        .text("status", |(_, r, ..)| Some(r.verdict.status().as_str()))
        .text("error", |(_, r, ..)| r.verdict.error())
        .text("event_type", |(_, r, ..)| Some(&r.claimed.event_type))
        .text("account_id", |(_, r, ..)| {
            r.account_id.as_ref().map(AccountId::as_str)
        })
        .bigint("us", |(_, _, _, micros)| Some(*micros))
        .bigint("until_us", |(_, _, until, _)| Some(*until))
        .bigint("attempts", |(_, r, ..)| Some(r.attempts().into()))
        .bigint("retry_ms", |(_, r, ..)| r.verdict.retry_after_millis())
        .bigint("occurred_at", |(_, r, ..)| {
            r.occurred_at.map(EventTime::seconds)
        })
        .columns();
    let settled: Vec<String> = Statement::<Text>::new(&SETTLE, columns)
        .load(&mut &*connection)
        .named("settle ledger rows")
        .await?;
    let settled: HashSet<&str> = settled.iter().map(String::as_str).collect();
    let (settled, superseded) = leased
        .iter()
        .map(|&(at, ..)| at)
        .partition(|&at| settled.contains(records[at].claimed.event_id.as_str()));
    Ok(LedgerRows {
        settled,
        superseded,
    })
}
