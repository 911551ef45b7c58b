//! Why a worker does not start, or ends by itself.

use harkara_runtime::admin::AdminError;
use harkara_storage::StorageError;
use harkara_storage::migrations::SchemaState;
use harkara_streams::{GroupError, ServerProblem};
use tokio::task::JoinError;

/// Why the worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] ServerProblem),
    /// The consumer groups cannot be created.
    #[error("cannot create the consumer groups")]
    Group(#[source] GroupError),
    /// PostgreSQL cannot be used.
    #[error(
        "PostgreSQL cannot be used; start it, or correct postgres.url (HARKARA__POSTGRES__URL)"
    )]
    Postgres(#[source] StorageError),
    /// TLS with PostgreSQL fails.
    #[error(transparent)]
    PostgresUntrusted(StorageError),
    /// The binary does not support the database schema.
    #[error("{}", .0.explanation().unwrap_or_default())]
    Schema(SchemaState),
    /// The admin address cannot be bound.
    #[error(
        "cannot open the admin port; worker.admin_bind (HARKARA__WORKER__ADMIN_BIND) changes it"
    )]
    Admin(#[source] AdminError),
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Untrusted { .. } => Self::PostgresUntrusted(error),
            other => Self::Postgres(other),
        }
    }
}

/// Why a running worker ended without a request to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A loop panicked.
    #[error("one of the worker's loops failed")]
    Failed(#[source] JoinError),
    /// A loop returned.
    #[error("one of the worker's loops ended without a request to stop")]
    Ended,
}

impl RunError {
    pub(super) fn of(ended: Option<Result<(), JoinError>>) -> Self {
        match ended {
            Some(Err(error)) => Self::Failed(error),
            Some(Ok(())) | None => Self::Ended,
        }
    }
}
