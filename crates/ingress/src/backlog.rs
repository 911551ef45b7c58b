//! The backlog as the ingress observes it: it is known even when no worker runs.

use harkara_settings::Settings;
use harkara_storage::StorageError;
use harkara_storage::ledger::{DUE_COUNTED_MAX, due_backlog};
use harkara_streams::Pool;
use harkara_streams::backlog::Observer;

use crate::postgres;

/// Connections for counting due rows: one statement at a time.
const CONNECTIONS: usize = 1;

/// An observer with its own connection to PostgreSQL, which is made when first used.
pub(crate) fn observer(settings: &Settings, redis: Pool) -> Result<Observer, StorageError> {
    let statement_timeout = settings.postgres.statement_timeout;
    let database = postgres::pool(&settings.postgres, CONNECTIONS, statement_timeout)?;
    let count_due = move || {
        let database = database.clone();
        async move { due_backlog(&database, DUE_COUNTED_MAX).await }
    };
    let partition = settings.redis.partition;
    Ok(Observer::new(redis, partition, &settings.worker, count_due))
}
