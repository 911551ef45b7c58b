//! Whether the database schema is one that this binary knows.

use harkara_settings::PostgresSettings;
use harkara_storage::migrations::{self, SchemaState};
use harkara_storage::{Pool, PoolSettings};

/// Connections for the one question at the start.
const CONNECTIONS: usize = 1;

/// The schema is behind this binary, or ahead of it; the text says which, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownSchema(String);

/// Refuses a schema that this binary does not know.
///
/// A database that is away is no reason to refuse deliveries: Redis takes them. It is asked within
/// `postgres.connect_timeout`, and silence is only logged.
pub(crate) async fn check(settings: &PostgresSettings) -> Result<(), UnknownSchema> {
    let state: Result<SchemaState, _> = async {
        let pool = Pool::new(&PoolSettings {
            url: settings.url.clone(),
            tls: settings.tls.clone(),
            application: "harkara-ingress",
            connections_max: CONNECTIONS,
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
        })?;
        migrations::check(&pool).await
    }
    .await;
    match state {
        Ok(state) => state
            .problem()
            .map_or(Ok(()), |fault| Err(UnknownSchema(fault))),
        Err(error) => {
            tracing::warn!(
                error = error.full(),
                "PostgreSQL could not be asked for its schema; receiving all the same."
            );
            Ok(())
        }
    }
}
