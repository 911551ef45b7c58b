//! The monthly partitions of the ledger and of the audit.
//!
//! They are added months ahead. A row of a month without one goes to the default partition, which must not
//! stay so: a partition that is added beside it would have to be searched for, and its rows moved, under a
//! lock for which every commit waits. So the rows are copied in short steps, and then the copies take the place
//! of the default partition. `conversion` has the steps.

mod conversion;
mod gaps;

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Bool, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::statement_times::Named;
use crate::{Pool, StorageError};
use gaps::Range;

/// Months for which partitions are kept ready ahead of time.
pub const MONTHS_AHEAD: i32 = 2;

/// Maximum rows of a default partition to count.
pub const DEFAULT_ROWS_COUNTED_MAX: i64 = 10_000;

/// Attempts to add partitions while somebody else is at work, and the pause before the next one.
const ADD_TRIES: u32 = 50;
const ADD_PAUSE: Duration = Duration::from_millis(100);

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

    /// The column that identifies rows together with [`Parent::key`], by an index.
    fn id(self) -> &'static str {
        match self {
            Self::Ledger => "razorpay_event_id",
            Self::Audit => "entity_id",
        }
    }

    /// The column that names the month.
    fn key(self) -> &'static str {
        match self {
            Self::Ledger => "created_at",
            Self::Audit => "at",
        }
    }

    /// The table of the copies of a default partition's rows.
    fn copy_table(self) -> String {
        format!("{}_copy", self.default_table())
    }

    /// The next default partition.
    fn next_table(self) -> String {
        format!("{}_next", self.default_table())
    }

    /// The default partition whose place the copies have taken.
    fn former_table(self) -> String {
        format!("{}_former", self.default_table())
    }

    /// How many pages of the default partition are copied.
    fn pages_table(self) -> String {
        format!("{}_pages", self.default_table())
    }

    /// Rows of the default partition that changed since the beginning; also its trigger and its function.
    fn changes_table(self) -> String {
        format!("{}_changes", self.default_table())
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

/// Whether the role has the rights of the tables' owner, which [`ensure`] needs.
pub async fn may_ensure(pool: &Pool) -> Result<bool, StorageError> {
    let may = "SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class \
               WHERE oid IN ('webhook_events'::regclass, 'audit_logs'::regclass)";
    pool.get_row("look for the owner of the tables", sql::<Bool>(may))
        .await
}

/// Adds missing partitions, from last month to [`MONTHS_AHEAD`] from now, and gives the rows of the default
/// partitions one, whatever their month. Returns the names of the partitions that those rows got.
///
/// Safe to call from many places at once: one works, the others return. A commit or a reader waits for it no
/// longer than 300 ms at a time (200 ms for the locks, and a moment for the change). If a reader holds its locks
/// for longer, it fails, and another call goes on. Needs the rights of the tables' owner, and one connection at a
/// time.
pub async fn ensure(pool: &Pool) -> Result<Vec<String>, StorageError> {
    let (mut converted, mut failed) = (Vec::new(), None);
    for parent in PARENTS {
        match ensure_partitions_of(pool, parent).await {
            Ok(partitions) => converted.extend(partitions),
            // The other one may be free.
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(converted), Err)
}

async fn ensure_partitions_of(pool: &Pool, parent: Parent) -> Result<Vec<String>, StorageError> {
    add_months(pool, parent).await?;
    let converted = conversion::convert(pool, parent).await?;
    if !converted.is_empty() {
        // The default partition is empty now, so nothing prevents them any more.
        add_months(pool, parent).await?;
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

/// A partition and what it covers.
#[derive(Clone, Debug, QueryableByName)]
struct NamedRange {
    #[diesel(sql_type = Text)]
    partition: String,
    #[diesel(sql_type = Timestamptz)]
    begins: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    ends: DateTime<Utc>,
}

impl NamedRange {
    fn range(&self) -> Range {
        let Self { begins, ends, .. } = *self;
        Range { begins, ends }
    }
}

/// The partitions of a table but the default one.
async fn ranges(
    connection: &mut AsyncPgConnection,
    table: &str,
) -> Result<Vec<NamedRange>, StorageError> {
    // The driver knows no infinity.
    sql_query(format!(
        "SELECT quote_ident(partition) AS partition, greatest(begins, '0001-01-01 00:00:00+00') AS begins, \
           least(ends, '9999-01-01 00:00:00+00') AS ends FROM harkara_partition_ranges('{table}')"
    ))
    .load(connection)
    .named("list partitions")
    .await
}
