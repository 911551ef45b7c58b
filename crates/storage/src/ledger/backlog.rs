//! How much of the ledger waits to be leased, and how much was given up.

use std::time::Duration;

use diesel::deserialize;
use diesel::pg::Pg;
use diesel::row::NamedRow;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::backlog::LedgerSample;
use harkara_core::lane::Lane;

use crate::{Pool, StorageError};

/// Most due rows, and most dead letters, that are counted. About four rows with a usual body share a page, so
/// that a look reads at most some 40 MB, and in order: they are those that have been due the longest.
pub const DUE_COUNTED_MAX: u64 = 20_000;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = BigInt)]
    due: i64,
    #[diesel(sql_type = BigInt)]
    oldest_micros: i64,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// A line of a plan.
struct PlanLine(String);

impl QueryableByName<Pg> for PlanLine {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        NamedRow::get::<Text, _>(row, "QUERY PLAN").map(Self)
    }
}

/// Counts the pending rows whose time has come, by lane, and the dead letters, no more than `counted_max` of
/// each. Where more rows are due, their number is the planner's estimate, which is as good as the latest
/// `ANALYZE` and never less than what was counted; the lanes share it as they share the rows that were counted.
///
/// A row that is leased is not due: its lease is written as its next attempt, like the wait of a retry, and
/// is not told from it. A worker has no more of those than its batches in flight hold. Relies on the indexes
/// `webhook_events_due` and `webhook_events_dead_letters`.
pub async fn due_backlog(pool: &Pool, counted_max: u64) -> Result<LedgerSample, StorageError> {
    let (rows, estimate, dead_letters) = pool
        .within("count due events", async |connection| {
            let rows = count(connection, counted_max).await?;
            let counted: u64 = rows.iter().map(|row| row.due.unsigned_abs()).sum();
            let estimate = if counted < counted_max {
                None
            } else {
                Some(estimate(connection).await?.max(counted))
            };
            let dead_letters = count_dead_letters(connection, counted_max).await?;
            Ok((
                rows,
                estimate.map(|estimate| (estimate, counted)),
                dead_letters,
            ))
        })
        .await?;
    let mut sample = LedgerSample {
        estimated: estimate.is_some(),
        dead_letters,
        ..LedgerSample::default()
    };
    for row in rows {
        // As for leasing, a lane that this binary does not know is the default one.
        let lane = &mut sample.lanes[Lane::parse(&row.lane).unwrap_or(Lane::Default).index()];
        let age = Duration::from_micros(row.oldest_micros.try_into().unwrap_or_default());
        let due = row.due.unsigned_abs();
        lane.due += estimate.map_or(due, |(of_all, counted)| share(of_all, due, counted));
        lane.oldest_age = lane.oldest_age.max(Some(age));
    }
    Ok(sample)
}

async fn count(
    connection: &mut AsyncPgConnection,
    counted_max: u64,
) -> Result<Vec<Row>, StorageError> {
    sql_query(
        "SELECT lane, count(*) AS due, \
           (extract(epoch FROM now() - min(next_attempt_at)) * 1000000)::bigint AS oldest_micros \
         FROM (\
           SELECT lane, next_attempt_at FROM webhook_events \
           WHERE status = 'pending' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT $1\
         ) due GROUP BY lane",
    )
    .bind::<BigInt, _>(i64::try_from(counted_max).unwrap_or(i64::MAX))
    .load(connection)
    .await
    .map_err(StorageError::statement("count due events"))
}

async fn count_dead_letters(
    connection: &mut AsyncPgConnection,
    counted_max: u64,
) -> Result<u64, StorageError> {
    let Counted { n } = sql_query(
        "SELECT count(*) AS n FROM (\
           SELECT 1 FROM webhook_events WHERE status = 'failed' ORDER BY created_at LIMIT $1\
         ) dead_letters",
    )
    .bind::<BigInt, _>(i64::try_from(counted_max).unwrap_or(i64::MAX))
    .get_result(connection)
    .await
    .map_err(StorageError::statement("count dead letters"))?;
    Ok(n.unsigned_abs())
}

/// How many rows the planner takes to be due. Only pending ones have a next attempt; to say so again would
/// make it multiply the two shares as if they had nothing to do with each other.
async fn estimate(connection: &mut AsyncPgConnection) -> Result<u64, StorageError> {
    let plan: Vec<PlanLine> =
        sql_query("EXPLAIN SELECT 1 FROM webhook_events WHERE next_attempt_at <= now()")
            .load(connection)
            .await
            .map_err(StorageError::statement("estimate due events"))?;
    Ok(plan
        .iter()
        .find_map(|PlanLine(line)| rows_of(line))
        .unwrap_or_default())
}

/// The rows that a line such as `Append  (cost=0.00..8.17 rows=12 width=4)` tells.
fn rows_of(line: &str) -> Option<u64> {
    let (_, rows) = line.split_once(" rows=")?;
    rows.split(' ').next()?.parse().ok()
}

/// As much of the whole as `part` is of `parts`.
fn share(whole: u64, part: u64, parts: u64) -> u64 {
    let share = u128::from(whole) * u128::from(part) / u128::from(parts.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{rows_of, share};

    #[test]
    fn the_estimate_is_that_of_the_whole_plan() {
        let line = "Append  (cost=0.12..12.35 rows=123456 width=4)";
        assert_eq!(rows_of(line), Some(123_456));
        assert_eq!(rows_of("  Filter: (next_attempt_at <= now())"), None);
    }

    #[test]
    fn lanes_share_an_estimate_as_they_share_what_was_counted() {
        assert_eq!(share(90_000, 5_000, 20_000), 22_500);
        assert_eq!(share(0, 0, 0), 0);
    }
}
