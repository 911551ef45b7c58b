//! The monthly partitions of the ledger and of the audit.
//!
//! They are added months ahead. A row of a month without one goes to the default partition, which must not
//! stay so: a partition that is added beside it would have to be searched for, and its rows moved, under a
//! lock for which every commit waits. So the default partition itself becomes the partition of its months, and
//! an empty one takes its place. `conversion` has the steps.

mod conversion;
mod months;

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Bool, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::statement_times::Named;
use crate::{Pool, StorageError};
use months::{Range, Span};

/// Months for which partitions are kept ready ahead of time.
pub const MONTHS_AHEAD: i32 = 2;

/// Maximum rows of a default partition to count.
pub const DEFAULT_ROWS_COUNTED_MAX: i64 = 10_000;

/// Attempts to add partitions while somebody else is at work, and the pause before the next one.
const ADD_TRIES: u32 = 50;
const ADD_PAUSE: Duration = Duration::from_millis(100);

/// Conversions of one call. Each settles at least one month.
const CONVERSIONS_MAX: usize = 100;

/// A partitioned table of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parent {
    Ledger,
    Audit,
}

impl Parent {
    fn table(self) -> &'static str {
        match self {
            Self::Ledger => "webhook_events",
            Self::Audit => "audit_logs",
        }
    }

    fn default_table(self) -> &'static str {
        match self {
            Self::Ledger => "webhook_events_default",
            Self::Audit => "audit_logs_default",
        }
    }

    /// The column that names the month.
    fn key(self) -> &'static str {
        match self {
            Self::Ledger => "created_at",
            Self::Audit => "at",
        }
    }
}

const PARENTS: [Parent; 2] = [Parent::Ledger, Parent::Audit];

/// Rows of a default partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRows {
    /// The partitioned table.
    pub table: &'static str,
    /// Its rows without a partition of their month, counted up to [`DEFAULT_ROWS_COUNTED_MAX`].
    pub rows: u64,
}

/// Counts the rows of the default partitions.
pub async fn default_rows(pool: &Pool) -> Result<Vec<DefaultRows>, StorageError> {
    let mut counted = Vec::new();
    for parent in PARENTS {
        let query = format!(
            "SELECT count(*) FROM (SELECT FROM {} LIMIT {DEFAULT_ROWS_COUNTED_MAX}) rows",
            parent.default_table()
        );
        let rows: i64 = pool
            .get_row("count rows of a default partition", sql::<BigInt>(&query))
            .await?;
        counted.push(DefaultRows {
            table: parent.table(),
            rows: rows.unsigned_abs(),
        });
    }
    Ok(counted)
}

/// Adds missing partitions, from last month to [`MONTHS_AHEAD`] from now, and gives the rows of the default
/// partitions one, whatever their month. Returns the names of the partitions that were default ones before.
///
/// Safe to call from many places at once: one works, the others return. A commit or a reader waits for it no
/// longer than 300 ms at a time (200 ms for the locks, and a moment for the change). If a reader holds its locks for longer, it fails,
/// and another call goes on. Needs the rights of the tables' owner.
pub async fn ensure(pool: &Pool) -> Result<Vec<String>, StorageError> {
    let mut converted = Vec::new();
    for parent in PARENTS {
        add_months(pool, parent).await?;
        for _ in 0..CONVERSIONS_MAX {
            let Some(span) = span_to_convert(pool, parent).await? else {
                break;
            };
            let Some(name) = conversion::convert(pool, parent, span).await? else {
                break;
            };
            converted.push(name);
        }
        if !converted.is_empty() {
            // The default partition is empty now, so nothing prevents them any more.
            add_months(pool, parent).await?;
        }
    }
    Ok(converted)
}

/// Adds the partitions of the months around now, or leaves it to somebody who is at work for long: that one
/// adds them in the end.
async fn add_months(pool: &Pool, parent: Parent) -> Result<(), StorageError> {
    for _ in 0..ADD_TRIES {
        if try_to_add_months(pool, parent).await? {
            break;
        }
        tokio::time::sleep(ADD_PAUSE).await;
    }
    Ok(())
}

/// The same if nobody else is at work; returns whether that is so.
async fn try_to_add_months(pool: &Pool, parent: Parent) -> Result<bool, StorageError> {
    let add = format!(
        "SELECT harkara_add_partition('{}', '{}', date_trunc('month', now() AT TIME ZONE 'UTC') \
           + make_interval(months => ahead)) FROM generate_series(-1, {MONTHS_AHEAD}) ahead",
        parent.table(),
        parent.key()
    );
    pool.within("add partitions", async |connection| {
        connection
            .transaction(async |connection| {
                if !lock_upkeep(connection).await? {
                    return Ok(false);
                }
                let add = format!("{}; {add}", conversion::lock_briefly());
                let added = connection.batch_execute(&add);
                added.named("add partitions").await?;
                Ok(true)
            })
            .await
    })
    .await
}

/// Takes the lock of whoever works on partitions, until the end of the transaction. `false` if somebody else
/// has it.
async fn lock_upkeep(connection: &mut AsyncPgConnection) -> Result<bool, StorageError> {
    sql::<Bool>("SELECT pg_try_advisory_xact_lock(hashtext('harkara_ensure_partitions'))")
        .get_result(connection)
        .named("lock the upkeep of partitions")
        .await
}

#[derive(QueryableByName)]
struct PartitionRange {
    #[diesel(sql_type = Timestamptz)]
    begins: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    ends: DateTime<Utc>,
}

/// Which months the default partition can become the partition of; `None` if it is empty, or if all its rows
/// are of months of which others have partitioned a part by hand.
async fn span_to_convert(pool: &Pool, parent: Parent) -> Result<Option<Span>, StorageError> {
    let months: Vec<DateTime<Utc>> = pool
        .load(
            "list months of a default partition",
            sql::<Timestamptz>(&months_query(parent)),
        )
        .await?;
    if months.is_empty() {
        return Ok(None);
    }
    // The driver knows no infinity.
    let ranges = format!(
        "SELECT greatest(begins, '0001-01-01 00:00:00+00') AS begins, least(ends, '9999-01-01 00:00:00+00') AS ends \
         FROM harkara_partition_ranges('{}')",
        parent.table()
    );
    let ranges: Vec<PartitionRange> = pool.load("list partitions", sql_query(ranges)).await?;
    let ranges = ranges.into_iter().map(|range| Range {
        begins: range.begins,
        ends: range.ends,
    });
    let now = crate::inspection::time(pool).await?;
    Ok(months::to_convert(
        &months,
        &ranges.collect::<Vec<_>>(),
        now,
    ))
}

/// Lists the months of a default partition's rows: the first row, then the first one after its month, and so
/// on, so that an index on the key makes it quick.
fn months_query(parent: Parent) -> String {
    let (default_table, key) = (parent.default_table(), parent.key());
    format!(
        "WITH RECURSIVE months (begins) AS (\
           SELECT date_trunc('month', min({key}) AT TIME ZONE 'UTC') FROM {default_table} \
           UNION ALL \
           SELECT date_trunc('month', (SELECT min({key}) FROM {default_table} \
             WHERE {key} >= (begins + interval '1 month') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') \
           FROM months WHERE begins IS NOT NULL\
         ) SELECT begins AT TIME ZONE 'UTC' FROM months WHERE begins IS NOT NULL"
    )
}
