//! The backlog as the ingress observes it: it is known even when no worker runs.

use harkara_settings::Settings;
use harkara_storage::ledger::{DUE_COUNTED_MAX, due_backlog};
use harkara_storage::{Pool, PoolSettings, StorageError};
use harkara_streams::backlog::Observer;

use crate::APPLICATION;

/// Connections for counting due rows: one statement at a time. The inbox's connections are for deliveries
/// alone.
const CONNECTIONS: usize = 1;

/// An observer with its own connection to PostgreSQL, which is made when first used.
pub(crate) fn observer(
    settings: &Settings,
    redis: harkara_streams::Pool,
) -> Result<Observer, StorageError> {
    let database = Pool::new(&PoolSettings {
        connections_max: CONNECTIONS,
        ..PoolSettings::of(&settings.postgres, APPLICATION)
    })?;
    let count_due = move || {
        let database = database.clone();
        async move { due_backlog(&database, DUE_COUNTED_MAX).await }
    };
    let partition = settings.redis.partition;
    Ok(Observer::new(redis, partition, &settings.worker, count_due))
}
