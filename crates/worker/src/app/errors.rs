//! Why a worker does not start, or ends by itself.

use harkara_runtime::admin::AdminError;
use harkara_storage::StorageError;
use harkara_storage::migrations::SchemaState;
use harkara_streams::{ForeignStreams, GroupError, ServerProblem};
use harkara_tls::Refusal;
use tokio::task::JoinError;

/// Why the worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Redis cannot be used.
    #[error("{}", .0.problem())]
    Redis(#[from] ServerProblem),
    /// The streams belong to another deployment.
    #[error(transparent)]
    Foreign(ForeignStreams),
    /// The consumer groups cannot be created.
    #[error("cannot create the consumer groups")]
    Group(#[source] GroupError),
    /// PostgreSQL cannot be used.
    #[error("PostgreSQL cannot be used")]
    Postgres(#[source] StorageError),
    /// TLS with PostgreSQL fails.
    #[error("PostgreSQL at {address}: {}", refusal.problem())]
    PostgresUntrusted {
        /// Host and port.
        address: String,
        /// The reason.
        refusal: Refusal,
    },
    /// The binary does not support the database schema.
    #[error("{}", .0.problem().unwrap_or_default())]
    Schema(SchemaState),
    /// The admin address cannot be bound.
    #[error("cannot open the admin port")]
    Admin(#[source] AdminError),
}

impl StartError {
    /// What an operator can do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Redis(problem) => return Some(problem.remedy()),
            Self::Foreign(foreign) => foreign.remedy(),
            Self::Group(_) => return None,
            Self::Postgres(_) => "start it, or correct postgres.url (HARKARA__POSTGRES__URL)",
            Self::PostgresUntrusted { refusal, .. } => return Some(refusal.remedy("postgres")),
            Self::Schema(state) => state.remedy(),
            Self::Admin(_) => "worker.admin_bind (HARKARA__WORKER__ADMIN_BIND) changes it",
        };
        Some(remedy.to_owned())
    }
}

impl From<GroupError> for StartError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Foreign(foreign) => Self::Foreign(foreign),
            other => Self::Group(other),
        }
    }
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Untrusted { address, refusal } => {
                Self::PostgresUntrusted { address, refusal }
            }
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
    /// The streams belong to another deployment.
    #[error(transparent)]
    Foreign(ForeignStreams),
}

impl RunError {
    /// What an operator can do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Foreign(foreign) => Some(foreign.remedy().to_owned()),
            Self::Failed(_) | Self::Ended => None,
        }
    }

    pub(super) fn of(ended: Option<Result<(), JoinError>>) -> Self {
        match ended {
            Some(Err(error)) => Self::Failed(error),
            Some(Ok(())) | None => Self::Ended,
        }
    }
}
