//! The schema: its embedded migrations, and whether this binary may work on the database.

use std::error::Error;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use harkara_core::secret::Secret;
use harkara_tls::ClientTls;
use tokio_postgres::error::SqlState;

use crate::connect::{Session, connect};
use crate::sqlstate;
use crate::statement_times::Named;
use crate::{Pool, StorageError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Held while migrating, so that of several concurrent `harkara migrate` one works and the others wait.
const ADVISORY_LOCK: i64 = 0x0068_6172_6b61_7261;

/// How the database's schema relates to this binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration that the binary contains is applied, and no newer one excludes it.
    Fits,
    /// Migrations are missing.
    Behind {
        /// Their versions.
        missing: Vec<String>,
    },
    /// The database cannot store every text of a body.
    WrongEncoding {
        /// Its encoding.
        encoding: String,
    },
    /// A newer schema excludes this binary.
    Ahead {
        /// The oldest migration that a binary must contain.
        compatible_from: String,
    },
}

impl SchemaState {
    /// The problem; `None` when the schema fits.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Fits => None,
            Self::Behind { missing } => Some(format!(
                "the database schema lacks {} migration(s), first {}",
                missing.len(),
                missing.iter().next().map_or("", String::as_str),
            )),
            Self::WrongEncoding { encoding } => {
                Some(format!("the database has the encoding {encoding}"))
            }
            Self::Ahead { compatible_from } => Some(format!(
                "the database schema needs a binary that contains migration {compatible_from}, this one ends at {}",
                newest(),
            )),
        }
    }

    /// What to do about the problem.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Fits | Self::Behind { .. } => "run `harkara migrate`",
            Self::WrongEncoding { .. } => "recreate it with ENCODING 'UTF8'",
            Self::Ahead { .. } => "install a newer version",
        }
    }
}

/// Longest wait of a migration for a lock on a table that others use: everybody who comes later waits behind it.
const LOCK_WAIT_MAX: &str = "150ms";

/// How often a migration is tried that waits too long for a lock, most likely because of a long-running reader
/// such as `pg_dump`; and the pause between two tries. In all five minutes.
const LOCK_TRIES: u32 = 150;
const LOCK_PAUSE: Duration = Duration::from_secs(2);

/// Applies the missing migrations under an advisory lock, and returns their versions. Safe to run
/// concurrently, and again. Nobody waits behind it for a lock for longer than 300 ms; a migration that would is
/// tried again. `tls` is as in [`crate::PoolSettings`].
pub async fn migrate(url: &Secret, tls: Option<&ClientTls>) -> Result<Vec<String>, StorageError> {
    let connection = connect(url, tls).await?;
    // Diesel's migration runner is synchronous, so it needs a thread and a connection for itself.
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = AsyncConnectionWrapper::<Session>::from(connection);
        let lock = |operation: &str| sql_query(format!("SELECT {operation}({ADVISORY_LOCK})"));
        diesel::RunQueryDsl::execute(lock("pg_advisory_lock"), &mut connection)
            .map_err(StorageError::statement("take the migration lock"))?;
        // The lock belongs to the session and ends with it, whatever the outcome.
        let bound = sql_query(format!("SET lock_timeout = '{LOCK_WAIT_MAX}'"));
        diesel::RunQueryDsl::execute(bound, &mut connection)
            .map_err(StorageError::statement("bound the waits for locks"))?;
        apply_missing(&mut connection).map_err(StorageError::Migration)
    });
    task.await.map_err(|e| StorageError::Migration(e.into()))?
}

/// Applies the missing migrations, each in its transaction, and returns their versions.
fn apply_missing(
    connection: &mut AsyncConnectionWrapper<Session>,
) -> diesel::migration::Result<Vec<String>> {
    let mut applied = Vec::new();
    for migration in connection.pending_migrations(MIGRATIONS)? {
        let mut tries = 1;
        let version = loop {
            match connection.run_migration(&migration) {
                Err(error) if tries < LOCK_TRIES && waited_for_a_lock(&*error) => {
                    tracing::warn!(
                        migration = %migration.name(),
                        %error,
                        "A table is in use; trying the migration again."
                    );
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                result => break result?,
            }
        };
        applied.push(version.to_string());
    }
    Ok(applied)
}

fn waited_for_a_lock(error: &(dyn Error + 'static)) -> bool {
    sqlstate::of_message(&error.to_string()) == Some(SqlState::LOCK_NOT_AVAILABLE)
}

/// Compares the database's schema with this binary's migrations.
pub async fn check(pool: &Pool) -> Result<SchemaState, StorageError> {
    let mut connection = pool.get().await?;
    let encoding: String = sql::<Text>("SELECT current_setting('server_encoding')")
        .get_result(&mut connection)
        .named("read the encoding")
        .await?;
    if encoding != "UTF8" {
        return Ok(SchemaState::WrongEncoding { encoding });
    }
    let exists: bool = sql::<Bool>("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL")
        .get_result(&mut connection)
        .named("look for the schema")
        .await?;
    let mut missing = versions();
    if exists {
        let applied: Vec<String> = sql::<Text>("SELECT version FROM __diesel_schema_migrations")
            .load(&mut connection)
            .named("read applied migrations")
            .await?;
        missing.retain(|version| !applied.contains(version));
    }
    if !missing.is_empty() {
        return Ok(SchemaState::Behind { missing });
    }
    let compatible_from: String = sql::<Text>("SELECT compatible_from FROM harkara_schema")
        .get_result(&mut connection)
        .named("read schema compatibility")
        .await?;
    if compatible_from > newest() {
        return Ok(SchemaState::Ahead { compatible_from });
    }
    Ok(SchemaState::Fits)
}

/// The versions of the embedded migrations, oldest first.
fn versions() -> Vec<String> {
    use diesel::migration::{Migration, MigrationSource};
    let migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().unwrap_or_default();
    let mut versions: Vec<String> = migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    versions.sort_unstable();
    versions
}

/// The version of the newest embedded migration.
#[must_use]
pub fn newest() -> String {
    versions().pop().unwrap_or_default()
}
