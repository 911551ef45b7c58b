//! Whether this binary supports the database schema.

use harkara_core::causes::with_causes;
use harkara_storage::Pool;
use harkara_storage::migrations::{self, SchemaState};

/// The schema is behind this binary, or ahead of it; the text says which, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.explanation().unwrap_or_default())]
pub struct UnknownSchema(SchemaState);

/// Refuses a schema that this binary does not support.
///
/// An unavailable database is no reason to refuse deliveries, because Redis takes them. The check is bounded
/// by `postgres.connect_timeout`, and its failure is only logged.
pub(crate) async fn check(database: &Pool) -> Result<(), UnknownSchema> {
    match migrations::check(database).await {
        Ok(SchemaState::Fits) => Ok(()),
        Ok(state) => Err(UnknownSchema(state)),
        Err(error) => {
            tracing::warn!(
                error = with_causes(&error),
                "PostgreSQL unavailable; starting without a check of its schema."
            );
            Ok(())
        }
    }
}
