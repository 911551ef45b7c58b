//! The schema: its migrations, embedded, and whether a binary may work on what it finds.

use diesel::pg::Pg;
use diesel::sql_query;
use diesel::sql_types::Text;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use harkara_core::secret::Secret;
use harkara_tls::ClientTls;

use crate::connect::{connect, not_connected};
use crate::{Pool, StorageError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Held while migrating, so that of many `harkara migrate` at once one works and the others wait.
const ADVISORY_LOCK: i64 = 0x0068_6172_6b61_7261;

/// Months for which partitions are kept ready ahead of time.
pub const PARTITION_MONTHS_AHEAD: i32 = 2;

/// What a binary finds in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration that the binary contains is applied, and no newer one excludes it.
    Fits,
    /// Migrations are missing.
    Behind {
        /// Their versions.
        missing: Vec<String>,
    },
    /// The database cannot hold every text that a body may have.
    WrongEncoding {
        /// Its encoding.
        encoding: String,
    },
    /// The database has moved on to a schema that this binary does not know.
    Ahead {
        /// The oldest migration that a binary must contain.
        compatible_from: String,
    },
}

impl SchemaState {
    /// What is wrong and what to do about it; `None` when it fits.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Fits => None,
            Self::Behind { missing } => Some(format!(
                "the database schema lacks {} migration(s), first {}; run `harkara migrate`",
                missing.len(),
                missing.iter().next().map_or("", String::as_str),
            )),
            Self::WrongEncoding { encoding } => Some(format!(
                "the database has the encoding {encoding}; create it anew with ENCODING 'UTF8'"
            )),
            Self::Ahead { compatible_from } => Some(format!(
                "the database schema needs a binary that contains migration {compatible_from}, \
                 this one ends at {}; install a newer version",
                newest(),
            )),
        }
    }
}

/// Applies the missing migrations under an advisory lock; gives their versions. Safe to run from many
/// places at once, and again. `tls` is as in [`crate::PoolSettings`].
pub async fn migrate(url: &Secret, tls: Option<&ClientTls>) -> Result<Vec<String>, StorageError> {
    let connection = connect(url.expose(), tls).await.map_err(not_connected)?;
    // Diesel's migration runner is synchronous: it gets a thread and a connection of its own.
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = AsyncConnectionWrapper::<AsyncPgConnection>::from(connection);
        let lock = |operation: &str| sql_query(format!("SELECT {operation}({ADVISORY_LOCK})"));
        diesel::RunQueryDsl::execute(lock("pg_advisory_lock"), &mut connection)
            .map_err(StorageError::statement("take the migration lock"))?;
        // The lock belongs to the session and ends with it, whatever happens below.
        let applied = connection
            .run_pending_migrations(MIGRATIONS)
            .map_err(|e| StorageError::Migration(e.to_string()))?;
        Ok(applied.iter().map(ToString::to_string).collect())
    });
    task.await
        .map_err(|e| StorageError::Migration(e.to_string()))?
}

/// Compares the database with what this binary contains.
pub async fn check(pool: &Pool) -> Result<SchemaState, StorageError> {
    let mut connection = pool.get().await?;
    let encoding: String = diesel::dsl::sql::<Text>("SELECT current_setting('server_encoding')")
        .get_result(&mut *connection)
        .await
        .map_err(StorageError::statement("read the encoding"))?;
    if encoding != "UTF8" {
        return Ok(SchemaState::WrongEncoding { encoding });
    }
    let exists: bool = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(
        "to_regclass('__diesel_schema_migrations') IS NOT NULL",
    ))
    .get_result(&mut connection)
    .await
    .map_err(StorageError::statement("look for the schema"))?;
    let applied: Vec<String> = if exists {
        diesel::dsl::sql::<Text>("SELECT version FROM __diesel_schema_migrations")
            .load(&mut connection)
            .await
            .map_err(StorageError::statement("read applied migrations"))?
    } else {
        Vec::new()
    };
    let missing: Vec<String> = versions()
        .into_iter()
        .filter(|version| !applied.contains(version))
        .collect();
    if !missing.is_empty() {
        return Ok(SchemaState::Behind { missing });
    }
    let compatible_from: String =
        diesel::dsl::sql::<Text>("SELECT compatible_from FROM harkara_schema")
            .get_result(&mut connection)
            .await
            .map_err(StorageError::statement("read schema compatibility"))?;
    if compatible_from > newest() {
        return Ok(SchemaState::Ahead { compatible_from });
    }
    Ok(SchemaState::Fits)
}

/// Makes sure that the ledger and the audit have partitions for the months ahead.
pub async fn ensure_partitions(pool: &Pool) -> Result<(), StorageError> {
    pool.within("ensure partitions", async |connection| {
        connection
            .batch_execute(&format!(
                "SELECT harkara_ensure_partitions({PARTITION_MONTHS_AHEAD})"
            ))
            .await
            .map_err(StorageError::statement("ensure partitions"))
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
