//! Replay: an operator puts ledger rows back to pending.

use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;

use super::EventStatus;
use crate::{Pool, StorageError};

/// Which rows to replay. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct ReplaySelection {
    /// Only this event.
    pub event_id: Option<String>,
    /// Rows of this status; pending ones are never replayed.
    pub status: Option<EventStatus>,
    /// Events of this name.
    pub event_type: Option<String>,
    /// Received at or after this time.
    pub since: Option<chrono::DateTime<chrono::Utc>>,
}

/// How many rows match a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayCount {
    /// Rows that are replayed.
    pub replayable: u64,
    /// Rows that are pending already and are left alone.
    pub already_pending: u64,
}

/// The condition of a [`ReplaySelection`], whose parameters [`select`] binds.
const SELECTED: &str = "($1::text IS NULL OR razorpay_event_id = $1) AND ($2::text IS NULL OR status = $2) \
    AND ($3::text IS NULL OR event_type = $3) AND ($4::timestamptz IS NULL OR created_at >= $4)";

fn select<'a>(query: &str, selection: &'a ReplaySelection) -> BoxedSqlQuery<'a, Pg, SqlQuery> {
    sql_query(query)
        .into_boxed()
        .bind::<Nullable<Text>, _>(&selection.event_id)
        .bind::<Nullable<Text>, _>(selection.status.map(EventStatus::as_str))
        .bind::<Nullable<Text>, _>(&selection.event_type)
        .bind::<Nullable<Timestamptz>, _>(selection.since)
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    replayable: i64,
    #[diesel(sql_type = BigInt)]
    already_pending: i64,
}

/// Counts the rows that [`replay`] would change.
pub async fn count_replayable(
    pool: &Pool,
    selection: &ReplaySelection,
) -> Result<ReplayCount, StorageError> {
    let query = format!(
        "SELECT count(*) FILTER (WHERE status <> 'pending') AS replayable, \
           count(*) FILTER (WHERE status = 'pending') AS already_pending FROM webhook_events WHERE {SELECTED}"
    );
    let query = select(&query, selection);
    let counted: Counted = pool.get_row("count replayable events", query).await?;
    Ok(ReplayCount {
        replayable: counted.replayable.unsigned_abs(),
        already_pending: counted.already_pending.unsigned_abs(),
    })
}

/// Puts rows back to pending, due immediately and with their attempts reset, and writes an audit row for
/// each, in one statement. Returns the number of rows. Workers then process them like all due rows.
pub async fn replay(
    pool: &Pool,
    selection: &ReplaySelection,
    actor: &str,
) -> Result<u64, StorageError> {
    let query = format!(
        "WITH selected AS MATERIALIZED (\
           SELECT razorpay_event_id, created_at, status FROM webhook_events \
           WHERE status <> 'pending' AND {SELECTED} ORDER BY razorpay_event_id FOR UPDATE\
         ), replayed AS (\
           UPDATE webhook_events e SET status = 'pending', next_attempt_at = now(), attempts = 0 \
           FROM selected s WHERE e.razorpay_event_id = s.razorpay_event_id AND e.created_at = s.created_at \
           RETURNING e.razorpay_event_id, s.status AS from_status\
         ) INSERT INTO audit_logs (actor, action, entity_type, entity_id, razorpay_event_id, from_status, to_status) \
         SELECT $5, 'replay', 'event', razorpay_event_id, razorpay_event_id, from_status, 'pending' FROM replayed"
    );
    let query = select(&query, selection).bind::<Text, _>(actor);
    let replayed = pool
        .run("replay events", async |connection| {
            query.execute(connection).await
        })
        .await?;
    Ok(replayed.try_into().unwrap_or(u64::MAX))
}
