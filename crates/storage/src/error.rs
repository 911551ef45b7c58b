//! What can go wrong with PostgreSQL, and whose fault it is.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failed operation on the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection could be had: the server is away, refuses, or the pool is exhausted.
    #[error("no connection to PostgreSQL: {0}")]
    Connect(String),
    /// A statement failed.
    #[error("{operation} failed")]
    Statement {
        /// What was being done.
        operation: &'static str,
        /// The server's answer, or the driver's.
        #[source]
        source: DieselError,
    },
    /// An operation took longer than its bound; whether it took effect is not known.
    #[error("{operation} took longer than {seconds} s")]
    TimedOut {
        /// What was being done.
        operation: &'static str,
        /// The bound.
        seconds: u64,
    },
    /// A migration failed.
    #[error("migration failed: {0}")]
    Migration(String),
}

/// What trying again can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The store is away or busy: the same work will do later. No event is to blame.
    Wait,
    /// One of the events may be to blame: smaller batches find it.
    Split,
}

impl StorageError {
    /// Whether to wait or to look for the event at fault.
    ///
    /// The driver does not tell every error's code. What is not plainly the server's trouble counts as
    /// [`Remedy::Split`]; a lone event is then blamed only if its ledger row can be written.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Connect(_) | Self::TimedOut { .. } | Self::Migration(_) => Remedy::Wait,
            Self::Statement { source, .. } => remedy_of(source),
        }
    }

    pub(crate) fn statement(operation: &'static str) -> impl FnOnce(DieselError) -> Self {
        move |source| Self::Statement { operation, source }
    }

    /// The error with its cause in one line, for a log or an operator.
    #[must_use]
    pub fn full(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

fn remedy_of(error: &DieselError) -> Remedy {
    match error {
        DieselError::BrokenTransactionManager
        | DieselError::AlreadyInTransaction
        | DieselError::NotInTransaction
        | DieselError::RollbackErrorOnCommit { .. }
        | DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        ) => Remedy::Wait,
        _ => Remedy::Split,
    }
}

/// Inside a transaction diesel wants its own errors converted without a name for the operation.
impl From<DieselError> for StorageError {
    fn from(source: DieselError) -> Self {
        Self::Statement {
            operation: "transaction",
            source,
        }
    }
}
