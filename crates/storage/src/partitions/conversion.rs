//! Turns a default partition into the partition of its months.
//!
//! 1. A constraint keeps rows of other months out. PostgreSQL does not check it against the rows yet, so this
//!    takes a moment. A delivery of another month, which only a clock that is days off can cause, is refused
//!    until the end, and stays where it is until then.
//! 2. One transaction moves what other months have to a new default partition and has the constraint checked.
//!    Commits and readers go on beside it, and see nothing of it. Then it swaps the two, for which it needs
//!    everybody else to let go for a moment; the constraint spares PostgreSQL a look at the rows.
//!
//! Whatever ends it in between, the next call starts again with the first step.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::months::Span;
use super::{Parent, lock_upkeep};
use crate::statement_times::Named;
use crate::{Pool, StorageError};

/// Longest wait for a lock behind which commits have to wait.
const EXCLUSIVE_WAIT_MAX: Duration = Duration::from_millis(200);

/// Longest time that such a lock is kept for a client that stands still.
const EXCLUSIVE_IDLE_MAX: Duration = Duration::from_secs(1);

/// Longest wait for a lock that neither commits nor readers mind. Autovacuum makes way for it after
/// `deadlock_timeout`, which is a second.
const SHARED_WAIT_MAX: Duration = Duration::from_secs(5);

/// Attempts to swap the partitions, and the pause before the next one, in which everybody catches up.
const SWAPS_MAX: u32 = 5;
const SWAP_PAUSE: Duration = Duration::from_secs(2);

/// Rows of other months that one statement moves.
const ROWS_PER_MOVE: u32 = 5_000;

/// Longest time for moving and checking: some hundred million rows.
const CONVERSION_MAX: Duration = Duration::from_hours(1);

/// Begins the name of the constraint, which contains the months.
const CONSTRAINT: &str = "harkara_months_";

/// Converts the default partition, and returns its new name; `None` if somebody else is at it or has done it.
pub(super) async fn convert(
    pool: &Pool,
    parent: Parent,
    span: Span,
) -> Result<Option<String>, StorageError> {
    let conversion = Conversion { parent, span };
    if !conversion.keep_others_out(pool).await? {
        return Ok(None);
    }
    let swapped = conversion.check_and_swap(pool).await;
    if swapped.is_err() {
        // So that nothing is refused for longer. Whoever was in the way of the swap may be in the way here,
        // and the next attempt replaces the constraint.
        drop(conversion.let_others_in(pool).await);
    }
    swapped
}

/// It is copied into the closures of transactions: a future that borrowed it would not be `Send`.
#[derive(Clone, Copy)]
struct Conversion {
    parent: Parent,
    span: Span,
}

impl Conversion {
    /// The first step; `false` if somebody else is at it or has done it.
    async fn keep_others_out(self, pool: &Pool) -> Result<bool, StorageError> {
        self.constrain(pool, true).await
    }

    /// Undoes the first step.
    async fn let_others_in(self, pool: &Pool) -> Result<bool, StorageError> {
        self.constrain(pool, false).await
    }

    /// Leaves our constraint on the default partition, or none of ours.
    async fn constrain(self, pool: &Pool, is_wanted: bool) -> Result<bool, StorageError> {
        pool.within("constrain a default partition", async move |connection| {
            connection
                .transaction(async move |connection| {
                    if !lock_upkeep(connection).await?
                        || is_wanted && self.is_done(connection).await?
                    {
                        return Ok(false);
                    }
                    let former = self.constraints(connection).await?;
                    let actions = self.constraining(&former, is_wanted);
                    if actions.is_empty() {
                        return Ok(true);
                    }
                    let default_table = self.parent.default_table();
                    let alter = format!(
                        "{}; LOCK TABLE {default_table} IN SHARE UPDATE EXCLUSIVE MODE; {}; ALTER TABLE {default_table} {}",
                        wait_for_locks(SHARED_WAIT_MAX),
                        lock_briefly(),
                        actions.join(", ")
                    );
                    let altered = connection.batch_execute(&alter);
                    altered.named("constrain a default partition").await?;
                    Ok(true)
                })
                .await
        })
        .await
    }

    /// Whether the months have a partition: they were chosen before others were kept away.
    async fn is_done(self, connection: &mut AsyncPgConnection) -> Result<bool, StorageError> {
        sql::<Bool>(&format!(
            "SELECT EXISTS (SELECT FROM harkara_partition_ranges('{}') WHERE begins < '{}' AND ends > '{}')",
            self.parent.table(),
            self.span.ends().to_rfc3339(),
            self.span.begins().to_rfc3339(),
        ))
        .get_result(connection)
        .named("look for partitions of these months")
        .await
    }

    /// The actions of `ALTER TABLE`, given the names of our constraints.
    fn constraining(self, former: &[String], is_wanted: bool) -> Vec<String> {
        let (constraint, condition) = (self.constraint(), self.condition());
        let drops = former
            .iter()
            .filter(|name| !is_wanted || **name != constraint);
        let mut actions: Vec<String> = drops
            .map(|name| format!("DROP CONSTRAINT {name}"))
            .collect();
        if is_wanted && !former.contains(&constraint) {
            actions.push(format!(
                "ADD CONSTRAINT {constraint} CHECK ({condition}) NOT VALID"
            ));
        }
        actions
    }

    /// The second step.
    async fn check_and_swap(self, pool: &Pool) -> Result<Option<String>, StorageError> {
        pool.within_bound(
            "convert a default partition",
            CONVERSION_MAX,
            async move |connection| {
                connection
                    .transaction(async move |connection| {
                        let is_ours = lock_upkeep(connection).await?
                            && self
                                .constraints(connection)
                                .await?
                                .contains(&self.constraint());
                        if !is_ours {
                            return Ok(None);
                        }
                        let bounds = format!(
                            "{}; SET LOCAL statement_timeout = {}",
                            wait_for_locks(SHARED_WAIT_MAX),
                            CONVERSION_MAX.as_millis()
                        );
                        connection
                            .batch_execute(&bounds)
                            .named("bound a conversion")
                            .await?;
                        self.move_others(connection).await?;
                        let validate = format!(
                            "ALTER TABLE {} VALIDATE CONSTRAINT {}",
                            self.parent.default_table(),
                            self.constraint()
                        );
                        connection
                            .batch_execute(&validate)
                            .named("check the months of a default partition")
                            .await?;
                        let name = self.free_name(connection).await?;
                        self.swap(connection, name.clone()).await?;
                        Ok(Some(name))
                    })
                    .await
            },
        )
        .await
    }

    /// Creates the next default partition and moves the rows of other months to it.
    async fn move_others(self, connection: &mut AsyncPgConnection) -> Result<(), StorageError> {
        let (table, default_table, key) = (
            self.parent.table(),
            self.parent.default_table(),
            self.parent.key(),
        );
        let next = self.next_table();
        let owner: String = sql::<Text>(&format!(
            "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = '{table}'::regclass"
        ))
        .get_result(connection)
        .named("find the owner of a table")
        .await?;
        let wide = if self.parent == Parent::Ledger {
            format!("ALTER TABLE {next} SET (toast_tuple_target = 4080);")
        } else {
            String::new()
        };
        let create = format!(
            "CREATE TABLE {next} (LIKE {table} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS \
               INCLUDING STORAGE INCLUDING INDEXES); {wide} ALTER TABLE {next} OWNER TO {owner}"
        );
        connection
            .batch_execute(&create)
            .named("create a default partition")
            .await?;
        let columns: String = sql::<Text>(&format!(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
        ))
        .get_result(connection)
        .named("list columns")
        .await?;
        let others = [
            format!("{key} < '{}'", self.span.begins().to_rfc3339()),
            format!("{key} >= '{}'", self.span.ends().to_rfc3339()),
        ];
        for other in others {
            let some = format!(
                "WITH moved AS (\
                   DELETE FROM {default_table} WHERE ctid = ANY (ARRAY(\
                     SELECT ctid FROM {default_table} WHERE {other} LIMIT {ROWS_PER_MOVE})) RETURNING {columns}\
                 ) INSERT INTO {next} ({columns}) SELECT {columns} FROM moved"
            );
            while sql_query(&some)
                .execute(connection)
                .named("move rows of other months")
                .await?
                > 0
            {}
        }
        Ok(())
    }

    /// Swaps the two. Each attempt waits briefly for whoever holds the tables.
    async fn swap(
        self,
        connection: &mut AsyncPgConnection,
        name: String,
    ) -> Result<(), StorageError> {
        let (table, default_table) = (self.parent.table(), self.parent.default_table());
        let swap = format!(
            "{}; \
             ALTER TABLE {table} DETACH PARTITION {default_table}; \
             ALTER TABLE {default_table} RENAME TO {name}; \
             ALTER TABLE {} RENAME TO {default_table}; \
             ALTER TABLE {table} ATTACH PARTITION {default_table} DEFAULT; \
             ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{}') TO ('{}'); \
             ALTER TABLE {name} DROP CONSTRAINT {}",
            lock_briefly(),
            self.next_table(),
            self.span.begins().to_rfc3339(),
            self.span.ends().to_rfc3339(),
            self.constraint(),
        );
        for attempt in 1.. {
            let swap = swap.clone();
            let swapped = connection
                .transaction(async move |connection| {
                    let swapped = connection.batch_execute(&swap);
                    swapped.named("swap a default partition").await
                })
                .await;
            match swapped {
                Err(error) if error.is_lock_timeout() && attempt < SWAPS_MAX => {
                    tokio::time::sleep(SWAP_PAUSE).await;
                }
                swapped => return swapped,
            }
        }
        Ok(())
    }

    /// A name that no table has.
    async fn free_name(self, connection: &mut AsyncPgConnection) -> Result<String, StorageError> {
        let name = format!("{}_{}", self.parent.table(), self.span.suffix());
        let mut candidate = name.clone();
        for number in 2.. {
            let is_free: bool = sql::<Bool>(&format!("SELECT to_regclass('{candidate}') IS NULL"))
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

    /// Our constraints on the default partition.
    async fn constraints(
        self,
        connection: &mut AsyncPgConnection,
    ) -> Result<Vec<String>, StorageError> {
        sql::<Text>(&format!(
            "SELECT conname::text FROM pg_constraint \
             WHERE conrelid = '{}'::regclass AND conname LIKE '{CONSTRAINT}%'",
            self.parent.default_table()
        ))
        .load(connection)
        .named("list constraints of a default partition")
        .await
    }

    fn constraint(self) -> String {
        format!("{CONSTRAINT}{}", self.span.suffix())
    }

    fn condition(self) -> String {
        let key = self.parent.key();
        let (begins, ends) = (
            self.span.begins().to_rfc3339(),
            self.span.ends().to_rfc3339(),
        );
        format!("{key} >= '{begins}' AND {key} < '{ends}'")
    }

    fn next_table(self) -> String {
        format!("{}_next", self.parent.default_table())
    }
}

/// Bounds for a transaction, or the rest of one, that takes exclusive locks.
pub(super) fn lock_briefly() -> String {
    let idle_max = EXCLUSIVE_IDLE_MAX.as_millis();
    let wait = wait_for_locks(EXCLUSIVE_WAIT_MAX);
    format!("{wait}; SET LOCAL idle_in_transaction_session_timeout = {idle_max}")
}

fn wait_for_locks(at_most: Duration) -> String {
    format!("SET LOCAL lock_timeout = {}", at_most.as_millis())
}
