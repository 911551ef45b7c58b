//! Puts the copies in place of the default partition.

use diesel::dsl::sql;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::super::{NamedRange, Parent, lock_upkeep, ranges};
use super::copy::{CONSTRAINT, copy};
use super::{changes, is_begun, lock_exclusively, lock_maintenance};
use crate::statement_times::Named;
use crate::{Pool, StorageError};

/// Maximum changes that are copied under an exclusive lock.
const CHANGES_MAX: usize = 1000;

pub(super) enum Swapped {
    /// The rows are in these partitions.
    Done(Vec<String>),
    /// Too many rows changed meanwhile.
    TooManyChanges,
    /// Somebody else is at it, or has done it.
    Elsewhere,
    /// The default partition was written anew, so that it is unknown what was copied.
    Rewritten,
}

/// Waits briefly for whoever has the tables locked.
pub(super) async fn swap(pool: &Pool, parent: Parent) -> Result<Swapped, StorageError> {
    let swapped = pool
        .within("swap a default partition", async move |connection| {
            connection
                .transaction(async move |connection| {
                    if !lock_upkeep(connection).await? || !is_begun(connection, parent).await? {
                        return Ok(Swapped::Elsewhere);
                    }
                    lock_maintenance(connection, parent).await?;
                    // Here autovacuum has time to make way.
                    let lock = format!(
                        "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
                        parent.copy_table()
                    );
                    let locked = connection.batch_execute(&lock);
                    locked
                        .named("lock the copies of a default partition")
                        .await?;
                    exclude_partitions(connection, parent).await?;
                    lock_exclusively(connection, parent).await?;
                    if changes::is_rewritten(connection, parent).await? {
                        return Ok(Swapped::Rewritten);
                    }
                    if changes::are_more_than(connection, parent, CHANGES_MAX).await? {
                        return Err(NotSwapped::TooManyChanges);
                    }
                    let (_, keys) = changes::take_changes(connection, parent, CHANGES_MAX).await?;
                    copy(connection, parent, &keys).await?;
                    changes::end(connection, parent).await?;
                    let partitions = ranges(connection, &parent.copy_table()).await?;
                    let replace = replace(parent, &partitions);
                    let replaced = connection.batch_execute(&replace);
                    replaced.named("replace a default partition").await?;
                    let names = partitions.into_iter().map(|partition| partition.partition);
                    Ok(Swapped::Done(names.collect()))
                })
                .await
                .or_else(NotSwapped::into_result)
        })
        .await?;
    Ok(swapped)
}

/// Why the transaction is rolled back.
enum NotSwapped {
    TooManyChanges,
    Failed(StorageError),
}

impl NotSwapped {
    fn into_result(self) -> Result<Swapped, StorageError> {
        match self {
            Self::TooManyChanges => Ok(Swapped::TooManyChanges),
            Self::Failed(error) => Err(error),
        }
    }
}

impl From<StorageError> for NotSwapped {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl From<diesel::result::Error> for NotSwapped {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// If the next default partition has rows, adds the constraint by which PostgreSQL knows, without a look at them
/// under an exclusive lock, that none belongs to another partition.
async fn exclude_partitions(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<(), StorageError> {
    let (next, key) = (parent.next_table(), parent.key());
    let is_in_use: bool = sql::<Bool>(&format!("SELECT EXISTS (SELECT FROM {next})"))
        .get_result(connection)
        .named("look into the next default partition")
        .await?;
    if !is_in_use {
        return Ok(());
    }
    let condition: String = sql::<Text>(&format!(
        "SELECT coalesce(string_agg('(' || concat_ws(' OR ', \
           CASE WHEN begins > '-infinity' THEN format('{key} < %L', begins) END, \
           CASE WHEN ends < 'infinity' THEN format('{key} >= %L', ends) END) || ')', ' AND '), 'true') \
         FROM (SELECT * FROM harkara_partition_ranges('{}') UNION ALL SELECT * FROM harkara_partition_ranges('{}')) ranges",
        parent.table(),
        parent.copy_table()
    ))
    .get_result(connection)
    .named("list what the next default partition excludes")
    .await?;
    let exclude = format!("ALTER TABLE {next} ADD CONSTRAINT {CONSTRAINT} CHECK ({condition})");
    let excluded = connection.batch_execute(&exclude);
    excluded.named("check the next default partition").await
}

/// Statements that put the copies in place of the default partition.
fn replace(parent: Parent, partitions: &[NamedRange]) -> String {
    let (table, default_table) = (parent.table(), parent.default_table());
    let (copy, next, former) = (
        parent.copy_table(),
        parent.next_table(),
        parent.former_table(),
    );
    // The default partition comes last: it would be searched for the rows of each other one.
    let attach: Vec<String> = partitions
        .iter()
        .map(|partition| {
            let name = &partition.partition;
            let (begins, ends) = (partition.begins.to_rfc3339(), partition.ends.to_rfc3339());
            format!(
                "ALTER TABLE {copy} DETACH PARTITION {name}; \
                 ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{begins}') TO ('{ends}'); \
                 ALTER TABLE {name} DROP CONSTRAINT {CONSTRAINT}; "
            )
        })
        .collect();
    let attach = attach.concat();
    format!(
        "ALTER TABLE {table} DETACH PARTITION {default_table}; \
         ALTER TABLE {default_table} RENAME TO {former}; \
         {attach}\
         ALTER TABLE {copy} DETACH PARTITION {next}; \
         ALTER TABLE {next} RENAME TO {default_table}; \
         ALTER TABLE {table} ATTACH PARTITION {default_table} DEFAULT; \
         ALTER TABLE {default_table} DROP CONSTRAINT IF EXISTS {CONSTRAINT}; \
         DROP TABLE {copy}"
    )
}
