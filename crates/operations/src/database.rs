//! The database as every operation needs it: reachable, with a schema that this binary knows.

use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_settings::PostgresSettings;
use harkara_storage::migrations::{self, SchemaState};
use harkara_storage::{ConnectError, Pool, PoolSettings, Recovery, StorageError, partitions};
use tokio::time::{Instant, sleep};

use crate::OperationError;

/// The name of an operator's commands among the connections.
pub(crate) const APPLICATION: &str = "harkara";

/// Connections of one operator: operations query one thing after another.
const CONNECTIONS_MAX: usize = 2;

/// Time between two looks at a schema that is not up to date.
const SCHEMA_CHECK_EVERY: Duration = Duration::from_secs(1);

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

/// Whom a database lets go on that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody: a worker can do nothing without it.
    Waits,
    /// An ingress, which starts without it.
    GoesOn,
}

/// Waits until the schema is one that this binary knows, and passes on why it is not, each time that this changes.
/// Fails after `at_most` with the last reason, and at once where waiting does not help. Returns why the schema could not
/// be seen, if that lets the caller go on.
pub async fn wait_for_schema(
    settings: &PostgresSettings,
    at_most: Duration,
    unreachable: Unreachable,
    mut waiting: impl FnMut(&str),
) -> Result<Option<String>, OperationError> {
    let begun = Instant::now();
    let mut last_reason = String::new();
    loop {
        let error = match open(settings).await {
            Ok(_) => return Ok(None),
            Err(error @ OperationError::Unavailable { .. })
                if unreachable == Unreachable::GoesOn && may_pass(&error) =>
            {
                return Ok(Some(with_causes(&error)));
            }
            Err(error) if begun.elapsed() >= at_most || !may_pass(&error) => return Err(error),
            Err(error) => with_causes(&error),
        };
        if error != last_reason {
            waiting(&error);
            last_reason = error;
        }
        sleep(SCHEMA_CHECK_EVERY.min(at_most.saturating_sub(begun.elapsed()))).await;
    }
}

fn may_pass(error: &OperationError) -> bool {
    match error {
        OperationError::Schema(state) => matches!(state, SchemaState::Behind { .. }),
        OperationError::Storage(StorageError::Untrusted { .. })
        | OperationError::Unavailable {
            source: StorageError::Connect(ConnectError::TlsNotSetUp | ConnectError::InvalidUrl),
            ..
        } => false,
        OperationError::Unavailable { source: error, .. } | OperationError::Storage(error) => {
            matches!(error.recovery(), Recovery::Wait | Recovery::Split)
        }
        _ => false,
    }
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
