//! What the ingress tells of the backlog: it is there when no worker is.

use harkara_settings::{PostgresSettings, WorkerSettings};
use harkara_storage::ledger::{DUE_COUNTED_MAX, due_backlog};
use harkara_storage::{Pool, PoolSettings, StorageError};
use harkara_streams::backlog::Observer;

/// Connections for counting what is due: one statement at a time, apart from the inbox, whose connections
/// deliveries wait for.
const CONNECTIONS: usize = 1;

/// An observer with a connection to PostgreSQL of its own. Nothing is connected yet.
pub(crate) fn observer(
    redis: harkara_streams::Pool,
    partition: u16,
    postgres: &PostgresSettings,
    worker: &WorkerSettings,
) -> Result<Observer, StorageError> {
    let database = Pool::new(&PoolSettings {
        url: postgres.url.clone(),
        tls: postgres.tls.clone(),
        application: "harkara-ingress",
        connections_max: CONNECTIONS,
        connect_timeout: postgres.connect_timeout,
        statement_timeout: postgres.statement_timeout,
    })?;
    Ok(Observer::new(redis, partition, worker, move || {
        let database = database.clone();
        async move { due_backlog(&database, DUE_COUNTED_MAX).await }
    }))
}
