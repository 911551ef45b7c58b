//! Replay: an operator puts ledger rows back to pending.

use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;

use super::{EventStatus, Stretch};
use crate::{Pool, StorageError};

/// Which rows to replay. All conditions must hold. Pending ones are never replayed.
#[derive(Clone, Debug)]
pub enum ReplayTarget<'a> {
    /// One event.
    Event(&'a str),
    /// Those of a stretch of the ledger.
    Stretch {
        /// The stretch.
        stretch: Stretch,
        /// Their status.
        status: EventStatus,
        /// Their name.
        event_type: Option<&'a str>,
    },
}

/// How many rows match a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayCount {
    /// Rows that are replayed.
    pub replayable: u64,
    /// Rows that are pending already and are left alone.
    pub already_pending: u64,
}

/// A query for the rows of a target, which `text` writes around its condition. Its parameters begin with `$1`,
/// and there are at most three.
fn select<'a>(
    target: &'a ReplayTarget<'_>,
    text: impl FnOnce(&str) -> String,
) -> BoxedSqlQuery<'a, Pg, SqlQuery> {
    match target {
        ReplayTarget::Event(event_id) => sql_query(text("razorpay_event_id = $1"))
            .into_boxed()
            .bind::<Text, _>(*event_id),
        ReplayTarget::Stretch {
            stretch,
            status,
            event_type,
        } => {
            // The status is written out, so that the planner knows that the index of dead letters has them all.
            let condition = format!(
                "status = '{status}' AND created_at >= $1 AND created_at < $2 \
                 AND ($3::text IS NULL OR event_type = $3)"
            );
            sql_query(text(&condition))
                .into_boxed()
                .bind::<Timestamptz, _>(stretch.from)
                .bind::<Timestamptz, _>(stretch.before)
                .bind::<Nullable<Text>, _>(*event_type)
        }
    }
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
    target: &ReplayTarget<'_>,
) -> Result<ReplayCount, StorageError> {
    let query = select(target, |condition| {
        format!(
            "SELECT count(*) FILTER (WHERE status <> 'pending') AS replayable, \
               count(*) FILTER (WHERE status = 'pending') AS already_pending \
             FROM webhook_events WHERE {condition}"
        )
    });
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
    target: &ReplayTarget<'_>,
    actor: &str,
) -> Result<u64, StorageError> {
    let query = select(target, |condition| {
        // The bounds again, so that no plan reads more of the ledger.
        let (actor_at, bounds) = match target {
            ReplayTarget::Event(_) => (2, ""),
            ReplayTarget::Stretch { .. } => (4, "AND e.created_at >= $1 AND e.created_at < $2"),
        };
        format!(
            "WITH selected AS MATERIALIZED (\
               SELECT razorpay_event_id, created_at, status FROM webhook_events \
               WHERE status <> 'pending' AND {condition} ORDER BY razorpay_event_id FOR UPDATE\
             ), replayed AS (\
               UPDATE webhook_events e SET status = 'pending', next_attempt_at = now(), attempts = 0 \
               FROM selected s WHERE e.razorpay_event_id = s.razorpay_event_id AND e.created_at = s.created_at {bounds} \
               RETURNING e.razorpay_event_id, s.status AS from_status\
             ) INSERT INTO audit_logs (actor, action, entity_type, entity_id, razorpay_event_id, from_status, to_status) \
             SELECT ${actor_at}, 'replay', 'event', razorpay_event_id, razorpay_event_id, from_status, 'pending' \
             FROM replayed"
        )
    });
    let query = query.bind::<Text, _>(actor);
    let replayed = pool
        .run("replay events", async |connection| {
            query.execute(connection).await
        })
        .await?;
    Ok(replayed.try_into().unwrap_or(u64::MAX))
}
