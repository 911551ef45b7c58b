//! Why an operation failed, and what an operator does about it.

use harkara_storage::{StorageError, migrations::SchemaState};

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// PostgreSQL cannot be reached.
    #[error("PostgreSQL at {address} is unavailable")]
    Unavailable {
        /// `host:port`.
        address: String,
        /// The reason.
        #[source]
        source: StorageError,
    },
    /// The schema is not one that this binary knows.
    #[error("{}", .0.problem().unwrap_or_default())]
    Schema(SchemaState),
    /// No event has this id.
    #[error("no event has the id {0:?}")]
    UnknownEvent(String),
    /// The ledger holds too many events to count within a statement's bound.
    #[error("the ledger holds too many events to count in time")]
    TooManyEvents(#[source] StorageError),
    /// PostgreSQL failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OperationError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { .. } => Some(
                "check that it is running and that postgres.url (HARKARA__POSTGRES__URL) is correct, or start one with \
                 `cargo dev up`",
            ),
            Self::UnknownEvent(_) => Some("`harkara events` lists those that were received"),
            Self::TooManyEvents(_) => Some(
                "ask for fewer --days, or raise postgres.statement_timeout_ms \
                 (HARKARA__POSTGRES__STATEMENT_TIMEOUT_MS)",
            ),
            Self::Schema(state) => Some(state.remedy()),
            Self::Storage(_) => None,
        }
    }
}
