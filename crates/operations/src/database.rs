//! The database as every operation needs it: reachable, with a schema that this binary knows.

use harkara_settings::PostgresSettings;
use harkara_storage::migrations::{self, SchemaState};
use harkara_storage::{Pool, PoolSettings, StorageError, partitions};

use crate::OperationError;

/// The name of an operator's commands among the connections.
const APPLICATION: &str = "harkara";

/// Connections of one operator: operations query one thing after another.
const CONNECTIONS_MAX: usize = 2;

/// A database with a schema that this binary knows.
pub async fn open(settings: &PostgresSettings) -> Result<Pool, OperationError> {
    let pool = reach(settings).await?;
    check_schema(&pool).await?;
    Ok(pool)
}

/// A database that answers, whatever its schema.
pub async fn reach(settings: &PostgresSettings) -> Result<Pool, OperationError> {
    let pool = pool(settings)?;
    pool.ping().await.map_err(|source| match source {
        StorageError::Connect(_) => OperationError::Unavailable {
            address: harkara_storage::address(&settings.url),
            source,
        },
        other => other.into(),
    })?;
    Ok(pool)
}

/// Applies the missing migrations and brings the partitions up to date; returns the versions that
/// were applied.
pub async fn migrate(settings: &PostgresSettings) -> Result<Vec<String>, OperationError> {
    let pool = reach(settings).await?;
    let applied = migrations::migrate(&PoolSettings::of(settings, APPLICATION)).await?;
    // A schema newer than this binary has every migration, and may still exclude it.
    check_schema(&pool).await?;
    partitions::ensure(&pool).await?;
    Ok(applied)
}

/// A pool for operators. It connects when first used.
pub fn pool(settings: &PostgresSettings) -> Result<Pool, StorageError> {
    Pool::new(&PoolSettings {
        connections_max: CONNECTIONS_MAX,
        ..PoolSettings::of(settings, APPLICATION)
    })
}

async fn check_schema(pool: &Pool) -> Result<(), OperationError> {
    match migrations::check(pool).await? {
        SchemaState::Fits => Ok(()),
        unfit => Err(OperationError::Schema(unfit)),
    }
}
