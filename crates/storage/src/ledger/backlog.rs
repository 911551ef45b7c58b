//! Counts of due rows and of dead letters.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::backlog::LedgerSample;
use harkara_core::lane::Lane;

use crate::statement_times::Named;
use crate::{Pool, StorageError};

/// Maximum due rows, and dead letters, to count. About four rows with a usual body share a page, so
/// a sample reads at most some 40 MB, and in order: the rows that have been due the longest.
pub const DUE_COUNTED_MAX: u64 = 20_000;

/// The due rows of a lane.
#[derive(QueryableByName)]
struct DueRows {
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = BigInt)]
    due: i64,
    #[diesel(sql_type = BigInt)]
    oldest_micros: i64,
}

/// Counts the due rows by lane, and the dead letters, at most `counted_max` of each. Where more rows are due,
/// their number is the planner's estimate, which is as good as the latest `ANALYZE` and never less than the
/// count; the lanes share it in proportion to the counted rows.
///
/// A leased row is not due: its next attempt is the end of its lease, like the end of a retry's wait. A worker
/// leases no more rows than its batches in flight hold. Relies on the indexes `webhook_events_due` and
/// `webhook_events_dead_letters`.
pub async fn due_backlog(pool: &Pool, counted_max: u64) -> Result<LedgerSample, StorageError> {
    let rows_max = i64::try_from(counted_max).unwrap_or(i64::MAX);
    let (due_rows, whole, dead_letters) = pool
        .within("count due events", async |connection| {
            let due_rows = count_due(connection, rows_max).await?;
            let counted = counted(&due_rows);
            let whole = if counted < counted_max {
                None
            } else {
                Some(estimate(connection).await?.max(counted))
            };
            let dead_letters = count_dead_letters(connection, rows_max).await?;
            Ok((due_rows, whole, dead_letters))
        })
        .await?;
    let mut sample = LedgerSample {
        estimated: whole.is_some(),
        dead_letters,
        ..LedgerSample::default()
    };
    let counted = counted(&due_rows);
    for row in due_rows {
        // As for leasing, a lane that this binary does not know is the default one.
        let lane = &mut sample.lanes[Lane::parse(&row.lane).unwrap_or(Lane::Default).index()];
        let age = Duration::from_micros(row.oldest_micros.try_into().unwrap_or_default());
        let due = row.due.unsigned_abs();
        lane.due += whole.map_or(due, |whole| share(whole, due, counted));
        lane.oldest_age = lane.oldest_age.max(Some(age));
    }
    Ok(sample)
}

fn counted(due_rows: &[DueRows]) -> u64 {
    due_rows.iter().map(|row| row.due.unsigned_abs()).sum()
}

async fn count_due(
    connection: &mut AsyncPgConnection,
    rows_max: i64,
) -> Result<Vec<DueRows>, StorageError> {
    sql_query(
        "SELECT lane, count(*) AS due, \
           (extract(epoch FROM now() - min(next_attempt_at)) * 1000000)::bigint AS oldest_micros \
         FROM (\
           SELECT lane, next_attempt_at FROM webhook_events \
           WHERE status = 'pending' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT $1\
         ) due GROUP BY lane",
    )
    .bind::<BigInt, _>(rows_max)
    .load(connection)
    .named("count due events")
    .await
}

async fn count_dead_letters(
    connection: &mut AsyncPgConnection,
    rows_max: i64,
) -> Result<u64, StorageError> {
    let counted: i64 = sql::<BigInt>(
        "SELECT count(*) FROM (\
           SELECT 1 FROM webhook_events WHERE status = 'failed' ORDER BY created_at LIMIT ",
    )
    .bind::<BigInt, _>(rows_max)
    .sql(") dead_letters")
    .get_result(connection)
    .named("count dead letters")
    .await?;
    Ok(counted.unsigned_abs())
}

/// The planner's estimate of the due rows. Only pending rows have a next attempt; a condition on the status
/// would make it multiply the two shares as if they were independent.
async fn estimate(connection: &mut AsyncPgConnection) -> Result<u64, StorageError> {
    let plan: Vec<String> =
        sql::<Text>("EXPLAIN SELECT 1 FROM webhook_events WHERE next_attempt_at <= now()")
            .load(connection)
            .named("estimate due events")
            .await?;
    let rows = plan.iter().find_map(|line| planned_rows(line));
    Ok(rows.unwrap_or_default())
}

/// The rows in a line such as `Append  (cost=0.00..8.17 rows=12 width=4)`.
fn planned_rows(line: &str) -> Option<u64> {
    let (_, rows) = line.split_once(" rows=")?;
    rows.split(' ').next()?.parse().ok()
}

/// Scales the whole by `part / parts`.
fn share(whole: u64, part: u64, parts: u64) -> u64 {
    let share = u128::from(whole) * u128::from(part) / u128::from(parts.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{planned_rows, share};

    #[test]
    fn the_estimate_is_that_of_the_whole_plan() {
        let line = "Append  (cost=0.12..12.35 rows=123456 width=4)";
        assert_eq!(planned_rows(line), Some(123_456));
        assert_eq!(planned_rows("  Filter: (next_attempt_at <= now())"), None);
    }

    #[test]
    fn lanes_share_an_estimate_in_proportion_to_their_counts() {
        assert_eq!(share(90_000, 5_000, 20_000), 22_500);
        assert_eq!(share(0, 0, 0), 0);
    }
}
