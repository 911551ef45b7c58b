//! Whether this binary supports the database schema.

use harkara_core::causes::with_causes;
use harkara_storage::Pool;
use harkara_storage::migrations::{self, SchemaState};

use crate::start_error::StartError;

/// Refuses a schema that this binary does not support.
///
/// An unavailable database is no reason to refuse deliveries, because Redis takes them. The check is bounded
/// by `postgres.connect_timeout`, and its failure is only logged.
pub(crate) async fn check(database: &Pool) -> Result<(), StartError> {
    match migrations::check(database).await {
        Ok(SchemaState::Fits) => Ok(()),
        Ok(state) => Err(StartError::Schema(state)),
        Err(error) => {
            tracing::warn!(
                error = with_causes(&error),
                "PostgreSQL unavailable; starting without a check of its schema."
            );
            Ok(())
        }
    }
}
