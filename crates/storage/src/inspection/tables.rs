//! Whether every table can be written: who has it locked, and which privileges are missing.

use std::fmt;

use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};
use diesel::{QueryableByName, sql_query};

use crate::grants::{self, DEFAULT_PARTITIONS, Process, Right};
use crate::{Pool, StorageError, projections};

/// The tables that every event is written to.
const OF_EVERY_EVENT: [&str; 3] = ["event_identities", "webhook_events", AUDIT];

/// Every change of a status is written here by the statement that makes it.
const AUDIT: &str = "audit_logs";

/// Maximum locks to return.
const LOCKS_MAX: i64 = 20;

/// A lock under which a table cannot be written, or somebody who waits for one: whoever comes later waits behind.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct TableLock {
    /// The table; a partition counts as its table.
    #[diesel(sql_type = Text)]
    pub table_name: String,
    /// The process of the session; none for a prepared transaction.
    #[diesel(sql_type = Nullable<Integer>)]
    pub pid: Option<i32>,
    /// Such as `AccessExclusiveLock`.
    #[diesel(sql_type = Text)]
    pub mode: String,
    /// Whether it has the lock, and does not wait for it.
    #[diesel(sql_type = Bool)]
    pub granted: bool,
    /// The session's application name, which may be empty.
    #[diesel(sql_type = Text)]
    pub application: String,
    /// Its role.
    #[diesel(sql_type = Nullable<Text>)]
    pub user_name: Option<String>,
    /// How long its transaction has run. Only roles that may see it do.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub age_seconds: Option<i64>,
}

impl fmt::Display for TableLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.granted { "has" } else { "waits for" };
        let Self {
            table_name, mode, ..
        } = self;
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => write!(f, "a prepared transaction")?,
        }
        if !self.application.is_empty() {
            write!(f, " ({})", self.application)?;
        }
        if let Some(user) = &self.user_name {
            write!(f, " of role {user}")?;
        }
        write!(f, " {verb} {mode} on {table_name}")?;
        match self.age_seconds {
            Some(seconds) => write!(f, ", in a transaction of {seconds} s"),
            None => Ok(()),
        }
    }
}

/// The locks that keep others from writing any table of ours, oldest first. Waits for no table itself.
pub async fn table_locks(pool: &Pool) -> Result<Vec<TableLock>, StorageError> {
    let tables = all_tables().into_iter().map(str::to_owned);
    locks_on(pool, tables.collect()).await
}

/// The lock that keeps others from writing rows to the table of a projection, with their audit rows; without a table,
/// from writing ledger rows. `None` if there is none.
pub async fn lock_on(
    pool: &Pool,
    projected: Option<&str>,
) -> Result<Option<TableLock>, StorageError> {
    let tables = match projected {
        Some(table) => vec![table.to_owned(), AUDIT.to_owned()],
        None => OF_EVERY_EVENT.map(str::to_owned).to_vec(),
    };
    let locks = locks_on(pool, tables).await?;
    Ok(locks.into_iter().next())
}

async fn locks_on(pool: &Pool, tables: Vec<String>) -> Result<Vec<TableLock>, StorageError> {
    let query = sql_query(
        "WITH ours AS (\
           SELECT coalesce(i.inhrelid, t.oid) AS oid, t.name AS table_name \
           FROM (SELECT name, to_regclass(name)::oid AS oid FROM unnest($1) AS t (name)) t \
             LEFT JOIN LATERAL (SELECT t.oid AS inhrelid UNION ALL \
               SELECT inhrelid FROM pg_inherits WHERE inhparent = t.oid) i ON true\
         ) SELECT o.table_name, l.pid, l.mode, l.granted, coalesce(a.application_name, '') AS application, \
           a.usename::text AS user_name, \
           extract(epoch FROM clock_timestamp() - a.xact_start)::bigint AS age_seconds \
         FROM pg_locks l JOIN ours o ON o.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'relation' \
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') \
         ORDER BY l.granted DESC, age_seconds DESC NULLS LAST, l.pid, o.table_name LIMIT $2",
    )
    .bind::<Array<Text>, _>(tables)
    .bind::<BigInt, _>(LOCKS_MAX);
    pool.load("look for locks on tables", query).await
}

/// A privilege on a table that a process needs and the role lacks.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct MissingPrivilege {
    /// The table.
    #[diesel(sql_type = Text)]
    pub table_name: String,
    /// The privilege; none if the table itself is missing.
    #[diesel(sql_type = Nullable<Text>)]
    pub privilege: Option<String>,
}

/// The privileges on tables that a process needs and the role of the pool lacks, except those on the default
/// partitions, which [`super::partitions()`] looks for.
pub async fn missing_privileges(
    pool: &Pool,
    process: Process,
) -> Result<Vec<MissingPrivilege>, StorageError> {
    let (mut tables, mut privileges, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    for (rights, of_tables) in grants::grants(process) {
        for table in of_tables {
            for right in &rights {
                let (privilege, of_columns) = match right {
                    Right::UpdateOf(columns) => ("UPDATE".to_owned(), *columns),
                    whole => (whole.to_string(), &[""][..]),
                };
                for column in of_columns {
                    tables.push(table);
                    privileges.push(privilege.clone());
                    columns.push(*column);
                }
            }
        }
    }
    let query = sql_query(
        "SELECT DISTINCT name AS table_name, \
           CASE WHEN oid IS NOT NULL THEN privilege || coalesce(' (' || nullif(col, '') || ')', '') END AS privilege \
         FROM (SELECT name, privilege, col, to_regclass(name)::oid AS oid \
           FROM unnest($1, $2, $3) AS t (name, privilege, col)) t \
         WHERE name <> ALL ($4) AND (oid IS NULL OR NOT CASE WHEN col = '' THEN has_table_privilege(oid, privilege) \
           ELSE has_column_privilege(oid, col, privilege) END) ORDER BY table_name, privilege",
    )
    .bind::<Array<Text>, _>(tables)
    .bind::<Array<Text>, _>(privileges)
    .bind::<Array<Text>, _>(columns)
    .bind::<Array<Text>, _>(DEFAULT_PARTITIONS.to_vec());
    pool.load("look for missing privileges", query).await
}

fn all_tables() -> Vec<&'static str> {
    OF_EVERY_EVENT
        .into_iter()
        .chain(projections::tables())
        .collect()
}
