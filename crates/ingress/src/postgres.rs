//! Pools of connections to PostgreSQL.

use std::time::Duration;

use harkara_settings::PostgresSettings;
use harkara_storage::{Pool, PoolSettings, StorageError};

/// A pool that connects when first used. Everything in the ingress that asks PostgreSQL has one of its own,
/// so that nothing else waits for the inbox's connections.
pub(crate) fn pool(
    settings: &PostgresSettings,
    connections_max: usize,
    statement_timeout: Duration,
) -> Result<Pool, StorageError> {
    Pool::new(&PoolSettings {
        url: settings.url.clone(),
        tls: settings.tls.clone(),
        application: "harkara-ingress",
        connections_max,
        connect_timeout: settings.connect_timeout,
        statement_timeout,
    })
}
