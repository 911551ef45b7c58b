//! Stretches of the ledger: a walk through it reads a bounded number of rows at a time, newest first.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};

use crate::{Pool, StorageError};

/// No row is older: `ReceivedAt` begins in 1970.
pub const BEGINNING: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// Every row is older: `ReceivedAt` ends with the year 2099.
pub const END: DateTime<Utc> = match DateTime::from_timestamp(4_133_980_800, 0) {
    Some(new_year_2101) => new_year_2101,
    None => DateTime::<Utc>::MAX_UTC,
};

/// Rows in order of a time that an index finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// All events, by the time of receipt.
    Events,
    /// The dead letters, by the time of receipt.
    DeadLetters,
    /// The audit rows of an entity, by the time of the change.
    ChangesOf(String),
}

/// Successive rows of a walk: all of `from` and later, before `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The time of the oldest row.
    pub from: DateTime<Utc>,
    /// The end.
    pub before: DateTime<Utc>,
    /// How many rows there are. Further rows of the oldest one's instant belong to it and are not counted.
    pub rows: u64,
    /// Whether the walk ends with it.
    pub is_last: bool,
}

#[derive(QueryableByName)]
struct Extent {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
}

/// The last `rows_max` rows of a walk from `since` until `before`; `None` if there are none.
///
/// Relies on the indexes `webhook_events_created_at`, `webhook_events_dead_letters` and `audit_logs_entity`.
pub async fn stretch(
    pool: &Pool,
    walk: &Walk,
    since: DateTime<Utc>,
    before: DateTime<Utc>,
    rows_max: u32,
) -> Result<Option<Stretch>, StorageError> {
    let (key, table, condition) = match walk {
        Walk::Events => ("created_at", "webhook_events", ""),
        Walk::DeadLetters => ("created_at", "webhook_events", "status = 'failed' AND"),
        Walk::ChangesOf(_) => ("at", "audit_logs", "entity_id = $4 AND"),
    };
    let query = sql_query(format!(
        "SELECT count(*) AS rows, min({key}) AS oldest FROM (\
           SELECT {key} FROM {table} WHERE {condition} {key} >= $1 AND {key} < $2 ORDER BY {key} DESC LIMIT $3\
         ) newest"
    ));
    let query = query
        .into_boxed()
        .bind::<Timestamptz, _>(since)
        .bind::<Timestamptz, _>(before)
        .bind::<BigInt, _>(i64::from(rows_max));
    let query = match walk {
        Walk::Events | Walk::DeadLetters => query,
        Walk::ChangesOf(entity_id) => query.bind::<Text, _>(entity_id),
    };
    let Extent { rows, oldest } = pool.get_row("find a stretch of the ledger", query).await?;
    Ok(oldest.map(|from| Stretch {
        from,
        before,
        rows: rows.unsigned_abs(),
        is_last: rows < i64::from(rows_max),
    }))
}
