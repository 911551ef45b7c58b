//! Gives the rows of a default partition partitions of their months, by copying them beside it:
//!
//! 1. `begin` has a trigger note which rows change from now on.
//! 2. `copy` copies what was there page by page, then the rows that changed, to tables that nobody reads yet.
//! 3. `swap` copies the last changes under an exclusive lock, and puts the copies in place of the default
//!    partition.
//!
//! Nothing is refused meanwhile, and everybody sees every row once. Each step is a short transaction that leaves
//! its progress in tables, so after a crash, or if a reader was in the way of the swap, the next call goes on.

mod changes;
mod copy;
mod swap;

use std::time::{Duration, Instant};

use diesel::dsl::sql;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{Parent, lock_upkeep};
use crate::statement_times::Named;
use crate::{Pool, StorageError};
use copy::Copied;
use swap::Swapped;

/// Longest wait for a lock behind which commits have to wait.
const EXCLUSIVE_WAIT_MAX: Duration = Duration::from_millis(200);

/// Longest time that a client which stands still, or one statement, keeps such a lock.
const EXCLUSIVE_MAX: Duration = Duration::from_secs(1);

/// Longest wait for a lock that neither commits nor readers mind. Autovacuum makes way for it after
/// `deadlock_timeout`, which is a second.
const SHARED_WAIT_MAX: Duration = Duration::from_secs(5);

/// The time that a step of copying should take. It rests as long, so that others have their share of the disk.
const STEP_AIM: Duration = Duration::from_millis(200);

/// Maximum pages of a step: 8 MiB.
const PAGES_PER_STEP_MAX: u32 = 1024;

/// Longest time for a look for the rows of a former default partition, one after the other by index.
const FORMER_CHECK_MAX: Duration = Duration::from_hours(1);

/// Attempts to swap the partitions, and the pause before the next one, in which everybody catches up.
const SWAPS_MAX: u32 = 3;
const SWAP_PAUSE: Duration = Duration::from_secs(1);

/// Converts the default partition, and returns the partitions that its rows got. Returns early if somebody else
/// is at it.
pub(super) async fn convert(pool: &Pool, parent: Parent) -> Result<Vec<String>, StorageError> {
    let mut converted = Vec::new();
    drop_former(pool, parent).await?;
    while begin(pool, parent).await? {
        match copy_and_swap(pool, parent).await {
            Ok(Some(partitions)) => {
                converted.extend(partitions);
                drop_former(pool, parent).await?;
            }
            Ok(None) => break,
            Err(error) => {
                if error.is_about_the_schema() {
                    abandon(pool, parent).await?;
                }
                return Err(error);
            }
        }
    }
    Ok(converted)
}

/// `None` if somebody else is at it.
async fn copy_and_swap(pool: &Pool, parent: Parent) -> Result<Option<Vec<String>>, StorageError> {
    for attempt in 1.. {
        match copy_all(pool, parent).await? {
            Copied::Elsewhere => break,
            Copied::Rewritten => {
                abandon(pool, parent).await?;
                return Ok(Some(Vec::new()));
            }
            Copied::All | Copied::Some => {}
        }
        match swap::swap(pool, parent).await {
            Ok(Swapped::Done(partitions)) => return Ok(Some(partitions)),
            Ok(Swapped::Elsewhere) => break,
            Ok(Swapped::Rewritten) => {
                abandon(pool, parent).await?;
                return Ok(Some(Vec::new()));
            }
            Ok(Swapped::TooManyChanges) if attempt < SWAPS_MAX => {}
            Ok(Swapped::TooManyChanges) => {
                return Err(StorageError::TimedOut {
                    operation: "keep up with the changes of a default partition",
                    seconds: (SWAP_PAUSE * SWAPS_MAX).as_secs(),
                });
            }
            Err(error)
                if attempt < SWAPS_MAX && (error.is_lock_timeout() || error.is_cancelled()) =>
            {
                tokio::time::sleep(SWAP_PAUSE).await;
            }
            Err(error) => {
                if error.is_cancelled() {
                    // The copies do not fit, such as without an index that was added since.
                    abandon(pool, parent).await?;
                }
                return Err(error);
            }
        }
    }
    Ok(None)
}

/// Copies until nothing or little is left, unless that is not possible.
async fn copy_all(pool: &Pool, parent: Parent) -> Result<Copied, StorageError> {
    let mut pages = 1;
    loop {
        let started = Instant::now();
        match copy::step(pool, parent, pages).await? {
            Copied::Some => {}
            other => return Ok(other),
        }
        let took = started.elapsed();
        pages = if took < STEP_AIM {
            (pages * 2).min(PAGES_PER_STEP_MAX)
        } else {
            (pages / 2).max(1)
        };
        tokio::time::sleep(took).await;
    }
}

/// The first step, unless it is done; `false` if there is nothing to convert or somebody else is at it.
async fn begin(pool: &Pool, parent: Parent) -> Result<bool, StorageError> {
    pool.within(
        "begin to convert a default partition",
        async move |connection| {
            connection
                .transaction(async move |connection| {
                    if !lock_upkeep(connection).await? {
                        return Ok(false);
                    }
                    if is_begun(connection, parent).await? {
                        return Ok(true);
                    }
                    let default_table = parent.default_table();
                    let is_in_use = format!("SELECT EXISTS (SELECT FROM {default_table})");
                    let is_in_use: bool = sql::<Bool>(&is_in_use)
                        .get_result(connection)
                        .named("look into a default partition")
                        .await?;
                    if !is_in_use {
                        return Ok(false);
                    }
                    lock_maintenance(connection, parent).await?;
                    copy::create_tables(connection, parent).await?;
                    // A reader that stays is noticed here, before all the work.
                    lock_exclusively(connection, parent).await?;
                    changes::begin(connection, parent).await?;
                    Ok(true)
                })
                .await
        },
    )
    .await
}

async fn is_begun(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<bool, StorageError> {
    let is_begun = format!("SELECT to_regclass('{}') IS NOT NULL", parent.copy_table());
    sql::<Bool>(&is_begun)
        .get_result(connection)
        .named("look for copies of a default partition")
        .await
}

/// Removes the copies, which fit no more: somebody changed the table or its partitions since.
async fn abandon(pool: &Pool, parent: Parent) -> Result<(), StorageError> {
    pool.within(
        "abandon the copies of a default partition",
        async move |connection| {
            connection
                .transaction(async move |connection| {
                    if lock_upkeep(connection).await? && is_begun(connection, parent).await? {
                        lock_maintenance(connection, parent).await?;
                        lock_exclusively(connection, parent).await?;
                        changes::end(connection, parent).await?;
                        let drop = format!("DROP TABLE {}", parent.copy_table());
                        let dropped = connection.batch_execute(&drop);
                        dropped
                            .named("drop the copies of a default partition")
                            .await?;
                    }
                    Ok(())
                })
                .await
        },
    )
    .await
}

/// Drops a default partition whose place the copies have taken, once the table has all of its rows. Autovacuum may be
/// busy with its large values, so it is not done under the exclusive lock of the swap.
async fn drop_former(pool: &Pool, parent: Parent) -> Result<(), StorageError> {
    pool.within_bound(
        "drop a former default partition",
        FORMER_CHECK_MAX,
        async move |connection| {
            connection
                .transaction(async move |connection| {
                    if lock_upkeep(connection).await? && has_former(connection, parent).await? {
                        check_former(connection, parent).await?;
                        let drop = format!(
                            "{}; DROP TABLE {}",
                            wait_for_locks(SHARED_WAIT_MAX),
                            parent.former_table()
                        );
                        let dropped = connection.batch_execute(&drop);
                        dropped.named("drop a former default partition").await?;
                    }
                    Ok(())
                })
                .await
        },
    )
    .await
}

async fn has_former(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<bool, StorageError> {
    let exists = format!(
        "SELECT to_regclass('{}') IS NOT NULL",
        parent.former_table()
    );
    sql::<Bool>(&exists)
        .get_result(connection)
        .named("look for a former default partition")
        .await
}

/// Fails if the table lacks a row of its former default partition. Nothing that is known could cause it, but what was
/// dropped could not be found again.
///
/// The new partitions have no statistics yet, so rows are looked for by index for the same reasons as in `copy`.
async fn check_former(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<(), StorageError> {
    let (table, former) = (parent.table(), parent.former_table());
    let (id, key) = (parent.id(), parent.key());
    let by_index = format!(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
         SET LOCAL statement_timeout = {}",
        FORMER_CHECK_MAX.as_millis()
    );
    let planned = connection.batch_execute(&by_index);
    planned.named("have rows found by index").await?;
    let lacks = format!(
        "SELECT EXISTS (SELECT FROM {former} f WHERE NOT EXISTS (\
           SELECT FROM {table} t WHERE t.{id} = f.{id} AND t.{key} IS NOT DISTINCT FROM f.{key}))"
    );
    let lacks: bool = sql::<Bool>(&lacks)
        .get_result(connection)
        .named("look for rows of a former default partition")
        .await?;
    if lacks {
        return Err(StorageError::RowsNotCopied { table, former });
    }
    Ok(())
}

/// Keeps autovacuum and other maintenance off the default partition. Neither commits nor readers mind.
async fn lock_maintenance(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<(), StorageError> {
    let lock = format!(
        "{}; LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE",
        wait_for_locks(SHARED_WAIT_MAX),
        parent.default_table()
    );
    let locked = connection.batch_execute(&lock);
    locked.named("lock a default partition").await
}

/// Makes everybody let go of the table and its default partition, until the end of the transaction.
async fn lock_exclusively(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<(), StorageError> {
    let lock = format!(
        "{}; LOCK TABLE ONLY {}, ONLY {} IN ACCESS EXCLUSIVE MODE",
        lock_briefly(),
        parent.table(),
        parent.default_table()
    );
    let locked = connection.batch_execute(&lock);
    locked.named("lock a table and its default partition").await
}

/// Bounds for a transaction, or the rest of one, that takes exclusive locks.
pub(super) fn lock_briefly() -> String {
    let max = EXCLUSIVE_MAX.as_millis();
    let wait = wait_for_locks(EXCLUSIVE_WAIT_MAX);
    format!(
        "{wait}; SET LOCAL statement_timeout = {max}; \
         SET LOCAL idle_in_transaction_session_timeout = {max}"
    )
}

fn wait_for_locks(at_most: Duration) -> String {
    format!("SET LOCAL lock_timeout = {}", at_most.as_millis())
}

/// The owner of the table and of its partitions, as an SQL identifier.
async fn owner(connection: &mut AsyncPgConnection, parent: Parent) -> Result<String, StorageError> {
    sql::<Text>(&format!(
        "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = '{}'::regclass",
        parent.table()
    ))
    .get_result(connection)
    .named("find the owner of a table")
    .await
}
