//! Replay: ledger rows put back to pending by an operator.

use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, RunQueryDsl};

use crate::{Pool, StorageError};

/// Which rows to replay. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct ReplaySelection {
    /// This event alone.
    pub event_id: Option<String>,
    /// Rows of this status: `failed` or `processed`.
    pub status: Option<String>,
    /// Events of this name.
    pub event_type: Option<String>,
    /// Received at or after this time.
    pub since: Option<chrono::DateTime<chrono::Utc>>,
}

/// How many rows a selection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayCount {
    /// Rows that are replayed.
    pub replayable: u64,
    /// Rows that are pending already and are left alone.
    pub already_pending: u64,
}

/// Rows that match; pending ones are told apart by the callers below.
const SELECTED: &str = "($1::text IS NULL OR razorpay_event_id = $1) AND ($2::text IS NULL OR status = $2) \
    AND ($3::text IS NULL OR event_type = $3) AND ($4::timestamptz IS NULL OR created_at >= $4)";

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    replayable: i64,
    #[diesel(sql_type = BigInt)]
    already_pending: i64,
}

/// Counts what [`replay`] would do, and changes nothing.
pub async fn count_replayable(
    pool: &Pool,
    selection: &ReplaySelection,
) -> Result<ReplayCount, StorageError> {
    let mut connection = pool.get().await?;
    let counted: Counted = sql_query(format!(
        "SELECT count(*) FILTER (WHERE status <> 'pending') AS replayable, \
           count(*) FILTER (WHERE status = 'pending') AS already_pending FROM webhook_events WHERE {SELECTED}"
    ))
    .bind::<Nullable<Text>, _>(&selection.event_id)
    .bind::<Nullable<Text>, _>(&selection.status)
    .bind::<Nullable<Text>, _>(&selection.event_type)
    .bind::<Nullable<Timestamptz>, _>(selection.since)
    .get_result(&mut connection)
    .await
    .map_err(StorageError::statement("count replayable events"))?;
    Ok(ReplayCount {
        replayable: counted.replayable.unsigned_abs(),
        already_pending: counted.already_pending.unsigned_abs(),
    })
}

#[derive(QueryableByName)]
struct Replayed {
    #[diesel(sql_type = BigInt)]
    replayed: i64,
}

/// Puts rows back to pending, due at once and with their attempts counted anew, and writes an audit
/// row for each, in one transaction. Gives the number of rows. The worker's ordinary road does the rest.
pub async fn replay(
    pool: &Pool,
    selection: &ReplaySelection,
    actor: &str,
) -> Result<u64, StorageError> {
    let mut connection = pool.get().await?;
    let replayed: Replayed = connection
        .transaction::<_, StorageError, _>(async |connection| {
            sql_query(format!(
                "WITH selected AS MATERIALIZED (\
                   SELECT razorpay_event_id, created_at, status FROM webhook_events \
                   WHERE status <> 'pending' AND {SELECTED} ORDER BY razorpay_event_id FOR UPDATE\
                 ), replayed AS (\
                   UPDATE webhook_events e SET status = 'pending', next_attempt_at = now(), attempts = 0 \
                   FROM selected s WHERE e.razorpay_event_id = s.razorpay_event_id AND e.created_at = s.created_at \
                   RETURNING e.razorpay_event_id, s.status AS from_status\
                 ), audited AS (\
                   INSERT INTO audit_logs (actor, action, entity_type, entity_id, razorpay_event_id, from_status, to_status) \
                   SELECT $5, 'replay', 'event', razorpay_event_id, razorpay_event_id, from_status, 'pending' FROM replayed\
                 ) SELECT count(*) AS replayed FROM replayed"
            ))
            .bind::<Nullable<Text>, _>(&selection.event_id)
            .bind::<Nullable<Text>, _>(&selection.status)
            .bind::<Nullable<Text>, _>(&selection.event_type)
            .bind::<Nullable<Timestamptz>, _>(selection.since)
            .bind::<Text, _>(actor)
            .get_result(connection)
            .await
            .map_err(StorageError::statement("replay events"))
        })
        .await?;
    Ok(replayed.replayed.unsigned_abs())
}
