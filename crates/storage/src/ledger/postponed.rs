//! Events that wait for a table.

use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use crate::record::postponed_for;
use crate::{Pool, StorageError};

/// Makes events due that were postponed because of a table, at most `rows_max` of them, and before all others:
/// in order of receipt. Returns their number.
///
/// Rows with an attempt are left alone: a worker may have leased them. Those among them that wait come due by
/// themselves. Relies on the index `webhook_events_due`.
pub async fn recall(pool: &Pool, table: &str, rows_max: usize) -> Result<usize, StorageError> {
    let query = sql_query(
        "WITH waiting AS MATERIALIZED (\
           SELECT razorpay_event_id, created_at FROM webhook_events \
           WHERE status = 'pending' AND next_attempt_at > now() AND attempts = 0 AND starts_with(error, $1) \
           ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED\
         ) UPDATE webhook_events e SET next_attempt_at = least(e.created_at, now()) \
         FROM waiting w WHERE e.razorpay_event_id = w.razorpay_event_id AND e.created_at = w.created_at",
    )
    .bind::<Text, _>(postponed_for(table))
    .bind::<BigInt, _>(i64::try_from(rows_max).unwrap_or(i64::MAX));
    pool.run("recall postponed events", async |connection| {
        query.execute(connection).await
    })
    .await
}
