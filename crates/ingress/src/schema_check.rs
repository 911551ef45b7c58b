//! Whether this binary supports the database schema.

use harkara_core::causes::with_causes;
use harkara_settings::PostgresSettings;
use harkara_storage::StorageError;
use harkara_storage::migrations::{self, SchemaState};

use crate::postgres;

/// Connections for the one check.
const CONNECTIONS: usize = 1;

/// The schema is behind this binary, or ahead of it; the text says which, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownSchema(String);

/// Refuses a schema that this binary does not support.
///
/// An unavailable database is no reason to refuse deliveries, because Redis takes them. The check is bounded
/// by `postgres.connect_timeout`, and its failure is only logged.
pub(crate) async fn check(settings: &PostgresSettings) -> Result<(), UnknownSchema> {
    match schema_state(settings).await {
        Ok(state) => match state.explanation() {
            None => Ok(()),
            Some(problem) => Err(UnknownSchema(problem)),
        },
        Err(error) => {
            tracing::warn!(
                error = with_causes(&error),
                "PostgreSQL unavailable; starting without a check of its schema."
            );
            Ok(())
        }
    }
}

async fn schema_state(settings: &PostgresSettings) -> Result<SchemaState, StorageError> {
    let pool = postgres::pool(settings, CONNECTIONS, settings.statement_timeout)?;
    migrations::check(&pool).await
}
