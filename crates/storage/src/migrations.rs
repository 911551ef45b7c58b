//! The schema: its embedded migrations, and whether this binary may work on the database.

use std::time::Duration;

use diesel::Connection as _;
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use harkara_core::causes::with_causes;
use tokio_postgres::error::SqlState;

use crate::connect::{Session, Target};
use crate::session_settings::SessionSettings;
use crate::sqlstate;
use crate::statement_times::Named;
use crate::{Pool, PoolSettings, StorageError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Held by each migration, so that concurrent `harkara migrate` apply each once.
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

/// Applies the missing migrations, and returns their versions. Safe to run concurrently, and again. Nobody waits
/// behind it for a lock for longer than 300 ms; a migration that would is tried again.
pub async fn migrate(settings: &PoolSettings) -> Result<Vec<String>, StorageError> {
    let session = SessionSettings::of_migrations(settings);
    let target = Target::new(settings, &session);
    let mut connection = target.connect(settings.pooler).await?;
    if !connection.is_pooled {
        let setup = session.for_session();
        let set_up = connection.batch_execute(&setup);
        set_up.named("set up the session").await?;
    }
    // Diesel's migration runner is synchronous, so it needs a thread and a connection for itself.
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = AsyncConnectionWrapper::<Session>::from(connection);
        let mut applied = Vec::new();
        let mut tries = 1;
        loop {
            match apply_next(&mut connection) {
                Ok(None) => return Ok(applied),
                Ok(Some(version)) => {
                    applied.push(version);
                    tries = 1;
                }
                Err(error) if tries < LOCK_TRIES && waited_for_a_lock(&error) => {
                    let error = with_causes(&error);
                    tracing::warn!(error, "A table is in use; trying the migration again.");
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    });
    task.await.map_err(|e| StorageError::Migration(e.into()))?
}

fn waited_for_a_lock(error: &StorageError) -> bool {
    let StorageError::Migration(source) = error else {
        return false;
    };
    sqlstate::of_message(&source.to_string()) == Some(SqlState::LOCK_NOT_AVAILABLE)
}

/// Applies the oldest missing migration in a transaction, and returns its version. The advisory lock belongs to
/// the transaction, and ends with it: a pooler keeps sessions, and with them their locks.
fn apply_next(
    connection: &mut AsyncConnectionWrapper<Session>,
) -> Result<Option<String>, StorageError> {
    connection.transaction(|connection| {
        let lock = sql_query(format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"));
        diesel::RunQueryDsl::execute(lock, connection)
            .map_err(StorageError::statement("take the migration lock"))?;
        // Other migrations are waited for, and tables that are in use are not.
        let bound = sql_query(format!("SET LOCAL lock_timeout = '{LOCK_WAIT_MAX}'"));
        diesel::RunQueryDsl::execute(bound, connection)
            .map_err(StorageError::statement("bound the waits for locks"))?;
        let missing = connection
            .pending_migrations(MIGRATIONS)
            .map_err(StorageError::Migration)?;
        let Some(next) = missing.as_slice().first() else {
            return Ok(None);
        };
        let version = connection
            .run_migration(next)
            .map_err(StorageError::Migration)?;
        Ok(Some(version.to_string()))
    })
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
