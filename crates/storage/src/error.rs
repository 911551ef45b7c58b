//! What can go wrong with PostgreSQL, and whose fault it is.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failed operation on the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection could be had: the server is away, refuses, or the pool is exhausted.
    #[error("no connection to PostgreSQL: {0}")]
    Connect(String),
    /// The server answers, but TLS with it fails: its certificate is refused, or ours is. The text names the
    /// server and the remedy.
    #[error("{0}")]
    Untrusted(String),
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
    /// An identity was refused as known, and the event that holds it was not found.
    #[error("an event's identity is held by an event that cannot be found")]
    HolderNotFound,
    /// A migration failed.
    #[error("migration failed: {0}")]
    Migration(String),
}

/// What can be done about a failed commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The store is away, busy or unfit: the same work will do later. No event is to blame.
    Wait,
    /// It took too long: less at a time may do. No event is to blame.
    Split,
    /// One of the events may be to blame: less at a time finds it.
    Isolate,
}

impl StorageError {
    /// What to do about it. An event may be blamed only for what can be its own doing.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Connect(_) | Self::Untrusted(_) | Self::Migration(_) | Self::HolderNotFound => {
                Recovery::Wait
            }
            Self::TimedOut { .. } => Recovery::Split,
            Self::Statement { source, .. } => recovery_after(source),
        }
    }

    /// Whether the connection ended under a statement, as those do that were open when a server was
    /// restarted. A new connection may do at once.
    #[must_use]
    pub fn ended_the_connection(&self) -> bool {
        let Self::Statement { source, .. } = self else {
            return false;
        };
        match source {
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, told) => {
                told.message().starts_with(TERMINATED)
            }
            DieselError::DatabaseError(kind, _) => matches!(
                kind,
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand
            ),
            _ => false,
        }
    }

    /// Whether an optimistic insert failed because an identity is known. Statements pipelined behind the
    /// refused one fail because the transaction is aborted.
    pub(crate) fn is_identity_conflict(&self) -> bool {
        match self {
            Self::Statement {
                source: DieselError::DatabaseError(kind, told),
                ..
            } => {
                matches!(kind, DatabaseErrorKind::UniqueViolation)
                    || told.message().contains(ABORTED)
            }
            _ => false,
        }
    }

    /// Whether a write was refused because the session or the server only reads.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(
            self,
            Self::Statement {
                source: DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _),
                ..
            }
        )
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

fn recovery_after(error: &DieselError) -> Recovery {
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
        ) => Recovery::Wait,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, told) => {
            recovery_after_message(told.message())
        }
        _ => Recovery::Isolate,
    }
}

/// What PostgreSQL says of a statement after one that failed.
const ABORTED: &str = "current transaction is aborted";

/// What PostgreSQL says when it ends a session by itself.
const TERMINATED: &str = "terminating connection";

/// What PostgreSQL says, in its untranslated words, when the trouble is its own. The driver does not
/// pass on the error's code, and each connection asks for untranslated messages.
const SERVER_TROUBLE: [&str; 18] = [
    "deadlock detected",
    TERMINATED,
    "the database system is",
    "too many clients",
    "connection slots",
    "No space left on device",
    "could not ",
    "out of shared memory",
    "does not exist",
    "permission denied",
    "must be owner",
    ABORTED,
    "cannot execute",
    "disk full",
    "is not accepting commands",
    "invalid page",
    "missing chunk",
    "cached plan",
];

/// What PostgreSQL says when a transaction was too much for it: a bound of time, or its memory.
const TOO_MUCH: [&str; 3] = [
    "canceling statement due to",
    "out of memory",
    "invalid memory alloc request size",
];

fn recovery_after_message(message: &str) -> Recovery {
    let says = |words: &&str| message.contains(*words);
    if TOO_MUCH.iter().any(says) {
        Recovery::Split
    } else if SERVER_TROUBLE.iter().any(says) {
        Recovery::Wait
    } else {
        Recovery::Isolate
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

#[cfg(test)]
mod tests {
    use super::{Recovery, recovery_after_message};

    #[test]
    fn what_postgresql_says_tells_whose_trouble_it_is() {
        for (message, recovery) in [
            (
                "canceling statement due to statement timeout",
                Recovery::Split,
            ),
            ("canceling statement due to lock timeout", Recovery::Split),
            ("out of memory", Recovery::Split),
            ("out of shared memory", Recovery::Wait),
            ("deadlock detected", Recovery::Wait),
            (
                "terminating connection due to administrator command",
                Recovery::Wait,
            ),
            (
                "could not extend file \"base/1/2\": No space left on device",
                Recovery::Wait,
            ),
            ("relation \"payment_orders\" does not exist", Recovery::Wait),
            (
                "index row size 4000 exceeds btree version 4 maximum 2704 for index \"x\"",
                Recovery::Isolate,
            ),
            (
                "invalid byte sequence for encoding \"UTF8\": 0x00",
                Recovery::Isolate,
            ),
        ] {
            assert_eq!(recovery_after_message(message), recovery, "{message}");
        }
    }
}
