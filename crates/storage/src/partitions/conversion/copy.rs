//! The copies of a default partition's rows, in partitions of a table beside it.

use std::collections::BTreeSet;

use diesel::dsl::sql;
use diesel::sql_query;
use diesel::sql_types::{Array, Bool, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::super::gaps::{Range, gaps, month_of, suffix};
use super::super::{NamedRange, Parent, lock_upkeep, ranges};
use super::changes::{self, Key};
use super::{SHARED_WAIT_MAX, is_begun, owner, wait_for_locks};
use crate::statement_times::Named;
use crate::{Pool, StorageError};

/// Partitions of one conversion, which are attached under an exclusive lock. Rows of further months go to the next
/// default partition, which is converted next.
pub(super) const PARTITIONS_MAX: usize = 12;

/// Maximum changes of a step.
const CHANGES_PER_STEP: usize = 1000;

/// The constraint by which PostgreSQL knows, without a look at the rows, that they are of the partition's month.
pub(super) const CONSTRAINT: &str = "harkara_month";

pub(super) enum Copied {
    /// There may be more.
    Some,
    /// Few changes are left, if any.
    All,
    /// Somebody else is at it, or has done it.
    Elsewhere,
    /// The default partition was written anew, so that it is unknown what was copied.
    Rewritten,
}

/// Creates the table of the copies, and the next default partition in it.
pub(super) async fn create_tables(
    connection: &mut AsyncPgConnection,
    parent: Parent,
) -> Result<(), StorageError> {
    let (table, copy, next) = (parent.table(), parent.copy_table(), parent.next_table());
    let owner = owner(connection, parent).await?;
    let create = format!(
        "CREATE TABLE {copy} (LIKE {table} {LIKE}) PARTITION BY RANGE ({}); ALTER TABLE {copy} OWNER TO {owner}; \
         {}; ALTER TABLE {copy} ATTACH PARTITION {next} DEFAULT",
        parent.key(),
        create_table(parent, &next, &owner),
    );
    let created = connection.batch_execute(&create);
    created
        .named("create tables for the copies of a default partition")
        .await
}

/// What partitions take over from their table.
const LIKE: &str = "INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING INDEXES";

fn create_table(parent: Parent, name: &str, owner: &str) -> String {
    let wide = match parent {
        Parent::Ledger => format!("ALTER TABLE {name} SET (toast_tuple_target = 4080); "),
        Parent::Audit => String::new(),
    };
    format!(
        "CREATE TABLE {name} (LIKE {} {LIKE}); {wide}ALTER TABLE {name} OWNER TO {owner}",
        parent.table()
    )
}

/// Copies the next pages, or after the last of them the next changes.
pub(super) async fn step(
    pool: &Pool,
    parent: Parent,
    pages_max: u32,
) -> Result<Copied, StorageError> {
    pool.within(
        "copy rows of a default partition",
        async move |connection| {
            connection
                .transaction(async move |connection| {
                    if !lock_upkeep(connection).await? || !is_begun(connection, parent).await? {
                        return Ok(Copied::Elsewhere);
                    }
                    if changes::is_rewritten(connection, parent).await? {
                        return Ok(Copied::Rewritten);
                    }
                    let bound = wait_for_locks(SHARED_WAIT_MAX);
                    let bounded = connection.batch_execute(&bound);
                    bounded.named("bound the wait for locks").await?;
                    let pages = changes::take_pages(connection, parent, pages_max).await?;
                    let (copied, keys) = if let Some(keys) = pages {
                        (Copied::Some, keys)
                    } else {
                        let (changes, keys) =
                            changes::take_changes(connection, parent, CHANGES_PER_STEP).await?;
                        let is_all = changes < CHANGES_PER_STEP;
                        (if is_all { Copied::All } else { Copied::Some }, keys)
                    };
                    add_partitions(connection, parent, &keys).await?;
                    copy(connection, parent, &keys).await?;
                    Ok(copied)
                })
                .await
        },
    )
    .await
}

/// Adds the missing partitions of the months of rows.
async fn add_partitions(
    connection: &mut AsyncPgConnection,
    parent: Parent,
    keys: &BTreeSet<Key>,
) -> Result<(), StorageError> {
    let months: BTreeSet<_> = keys.iter().map(|key| month_of(key.at)).collect();
    let copies = ranges(connection, &parent.copy_table()).await?;
    let mut n_partitions = copies.len();
    let mut taken: Vec<Range> = ranges(connection, parent.table())
        .await?
        .iter()
        .chain(&copies)
        .map(NamedRange::range)
        .collect();
    for month in months {
        for gap in gaps(month, &taken) {
            if n_partitions == PARTITIONS_MAX {
                return Ok(());
            }
            let name = format!("{}_{}", parent.table(), suffix(month));
            let name = free_name(connection, name).await?;
            add_partition(connection, parent, &name, gap).await?;
            taken.push(gap);
            n_partitions += 1;
        }
    }
    Ok(())
}

async fn add_partition(
    connection: &mut AsyncPgConnection,
    parent: Parent,
    name: &str,
    range: Range,
) -> Result<(), StorageError> {
    let (key, owner) = (parent.key(), owner(connection, parent).await?);
    let (begins, ends) = (range.begins.to_rfc3339(), range.ends.to_rfc3339());
    let add = format!(
        "{}; ALTER TABLE {name} ADD CONSTRAINT {CONSTRAINT} CHECK ({key} >= '{begins}' AND {key} < '{ends}'); \
         ALTER TABLE {} ATTACH PARTITION {name} FOR VALUES FROM ('{begins}') TO ('{ends}')",
        create_table(parent, name, &owner),
        parent.copy_table(),
    );
    let added = connection.batch_execute(&add);
    added.named("create a partition for copies").await
}

/// A name that no table has.
async fn free_name(
    connection: &mut AsyncPgConnection,
    name: String,
) -> Result<String, StorageError> {
    let mut candidate = name.clone();
    for number in 2.. {
        let is_free = format!("SELECT to_regclass('{candidate}') IS NULL");
        let is_free: bool = sql::<Bool>(&is_free)
            .get_result(connection)
            .named("look for a table")
            .await?;
        if is_free {
            break;
        }
        candidate = format!("{name}_{number}");
    }
    Ok(candidate)
}

/// Makes the copies of the rows of these keys the same as the rows, whatever was copied before.
///
/// The joins must use the index by id, however large the planner believes the keys or the tables are: hence the
/// settings, and a comparison of times that no index knows.
pub(super) async fn copy(
    connection: &mut AsyncPgConnection,
    parent: Parent,
    keys: &BTreeSet<Key>,
) -> Result<(), StorageError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (from, to) = (parent.default_table(), parent.copy_table());
    let (id, key) = (parent.id(), parent.key());
    let by_index = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
    let planned = connection.batch_execute(by_index);
    planned.named("have rows found by index").await?;
    let columns: String = sql::<Text>(&format!(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
         WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        parent.table()
    ))
    .get_result(connection)
    .named("list columns")
    .await?;
    let keys_given = "unnest($1, $2) keys (key_id, key_at)";
    let is_given = format!("rows.{id} = key_id AND rows.{key} IS NOT DISTINCT FROM key_at");
    let delete = format!("DELETE FROM {to} rows USING {keys_given} WHERE {is_given}");
    let insert = format!(
        "INSERT INTO {to} ({columns}) SELECT {columns} FROM {keys_given} JOIN {from} rows ON {is_given}"
    );
    let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    let times: Vec<_> = keys.iter().map(|key| key.at).collect();
    for (statement, name) in [(delete, "remove copies"), (insert, "copy rows")] {
        sql_query(statement)
            .bind::<Array<Text>, _>(&ids)
            .bind::<Array<Timestamptz>, _>(&times)
            .execute(connection)
            .named(name)
            .await?;
    }
    Ok(())
}
