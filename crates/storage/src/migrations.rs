//! The schema: its embedded migrations, and whether this binary may work on the database.

use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use harkara_core::secret::Secret;
use harkara_tls::ClientTls;

use crate::connect::{Session, connect};
use crate::statement_times::Named;
use crate::{Pool, StorageError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Held while migrating, so that of several concurrent `harkara migrate` one works and the others wait.
const ADVISORY_LOCK: i64 = 0x0068_6172_6b61_7261;

/// Months for which partitions are kept ready ahead of time.
pub const PARTITION_MONTHS_AHEAD: i32 = 2;

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

/// Applies the missing migrations under an advisory lock, and returns their versions. Safe to run
/// concurrently, and again. `tls` is as in [`crate::PoolSettings`].
pub async fn migrate(url: &Secret, tls: Option<&ClientTls>) -> Result<Vec<String>, StorageError> {
    let connection = connect(url, tls).await?;
    // Diesel's migration runner is synchronous, so it needs a thread and a connection for itself.
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = AsyncConnectionWrapper::<Session>::from(connection);
        let lock = |operation: &str| sql_query(format!("SELECT {operation}({ADVISORY_LOCK})"));
        diesel::RunQueryDsl::execute(lock("pg_advisory_lock"), &mut connection)
            .map_err(StorageError::statement("take the migration lock"))?;
        // The lock belongs to the session and ends with it, whatever the outcome.
        let applied = connection
            .run_pending_migrations(MIGRATIONS)
            .map_err(StorageError::Migration)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    });
    task.await.map_err(|e| StorageError::Migration(e.into()))?
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

/// Creates the partitions of the ledger and of the audit for the months ahead.
pub async fn ensure_partitions(pool: &Pool) -> Result<(), StorageError> {
    pool.run("ensure partitions", async |connection| {
        let call = format!("SELECT harkara_ensure_partitions({PARTITION_MONTHS_AHEAD})");
        connection.batch_execute(&call).await
    })
    .await
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
