//! How much of the ledger waits to be leased.

use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use harkara_core::backlog::LedgerLook;
use harkara_core::lane::Lane;

use crate::{Pool, StorageError};

/// Most due rows that are counted, the longest due first. About four rows with a usual body share a page,
/// so a look reads at most some 40 MB, which are in memory: these rows were written last.
pub const DUE_COUNTED_MAX: i64 = 20_000;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = BigInt)]
    due: i64,
    #[diesel(sql_type = BigInt)]
    oldest_micros: i64,
}

/// Counts the pending rows whose time has come, by lane, up to `counted_max` of them.
///
/// A row that is leased is not due: its lease is written as its next attempt, like the wait of a retry, and
/// is not told from it. A worker has no more of those than its batches in flight hold. Relies on the index
/// `webhook_events_due`.
pub async fn due_backlog(pool: &Pool, counted_max: i64) -> Result<LedgerLook, StorageError> {
    let rows: Vec<Row> = pool
        .within("count due events", async |connection| {
            sql_query(
                "SELECT lane, count(*) AS due, \
                   (extract(epoch FROM now() - min(next_attempt_at)) * 1000000)::bigint AS oldest_micros \
                 FROM (\
                   SELECT lane, next_attempt_at FROM webhook_events \
                   WHERE status = 'pending' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT $1\
                 ) due GROUP BY lane",
            )
            .bind::<BigInt, _>(counted_max)
            .load(connection)
            .await
            .map_err(StorageError::statement("count due events"))
        })
        .await?;
    let mut look = LedgerLook {
        capped: rows.iter().map(|row| row.due).sum::<i64>() >= counted_max,
        ..LedgerLook::default()
    };
    for row in rows {
        // As for leasing, a lane that this binary does not know is the default one.
        let lane = &mut look.lanes[Lane::parse(&row.lane).unwrap_or(Lane::Default).index()];
        let age = Duration::from_micros(row.oldest_micros.try_into().unwrap_or_default());
        lane.due += row.due.unsigned_abs();
        lane.oldest_age = lane.oldest_age.max(Some(age));
    }
    Ok(look)
}
