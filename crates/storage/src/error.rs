//! Errors of PostgreSQL, and how to recover from them.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use harkara_core::causes::with_causes;
use harkara_tls::Refusal;

/// A failed operation on the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection is available.
    #[error("no connection to PostgreSQL")]
    Connect(#[from] ConnectError),
    /// The server answers, but TLS with it fails: its certificate is refused, or ours is.
    #[error("PostgreSQL at {address}: {}; {}", refusal.problem(), refusal.remedy("postgres"))]
    Untrusted {
        /// Host and port.
        address: String,
        /// The reason, which knows the remedy.
        refusal: Refusal,
    },
    /// A statement failed.
    #[error("{operation} failed")]
    Statement {
        /// The statement's name.
        operation: &'static str,
        /// The server's answer, or the driver's.
        #[source]
        source: DieselError,
    },
    /// An operation exceeded its bound; it may have taken effect.
    #[error("{operation} took longer than {seconds} s")]
    TimedOut {
        /// The operation's name.
        operation: &'static str,
        /// The bound.
        seconds: u64,
    },
    /// An identity was refused as known, and no event holds it.
    #[error("an event's identity is held by an event that cannot be found")]
    HolderNotFound,
    /// A migration failed.
    #[error("migration failed")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why no connection is available.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be parsed. (The parser's error is left out: it could quote the password.)
    #[error("postgres.url is not a valid URL")]
    InvalidUrl,
    /// The server is unavailable, or refuses.
    #[error("{address}")]
    Server {
        /// Host and port; the source says what happened there.
        address: String,
        /// The driver's error.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server refuses what every session needs.
    #[error("a session cannot be set up")]
    Session(#[source] ConnectionError),
    /// All connections of the pool are in use, and none was returned in time.
    #[error("timed out waiting for a free connection of the pool")]
    Exhausted,
    /// No connection was established in time.
    #[error("timed out connecting")]
    TimedOut,
    /// The pool cannot be built.
    #[error("the connection pool cannot be built")]
    Pool(#[source] deadpool::managed::BuildError),
}

/// How to recover from a failed commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Wait: the store is unavailable, busy or unfit, and the same batch will commit later. No event is at
    /// fault.
    Wait,
    /// Split the batch, which took too long. No event is at fault.
    Split,
    /// Split the batch until the event at fault is alone.
    Isolate,
}

impl StorageError {
    /// How to recover. An event is at fault only if its content can have caused the error.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Connect(_)
            | Self::Untrusted { .. }
            | Self::Migration(_)
            | Self::HolderNotFound => Recovery::Wait,
            Self::TimedOut { .. } => Recovery::Split,
            Self::Statement { source, .. } => recovery_after(source),
        }
    }

    /// Whether the server closed the connection during a statement, as it does with all open connections when
    /// it restarts. A new connection may work immediately.
    #[must_use]
    pub fn ended_the_connection(&self) -> bool {
        self.is_refusal(|kind, message| match kind {
            Kind::ClosedConnection | Kind::UnableToSendCommand => true,
            Kind::Unknown => message.starts_with(TERMINATED),
            _ => false,
        })
    }

    /// Whether an optimistic insert failed because an identity is known. Statements pipelined behind the
    /// refused one fail because the transaction is aborted.
    pub(crate) fn is_identity_conflict(&self) -> bool {
        self.is_refusal(|kind, message| {
            matches!(kind, Kind::UniqueViolation) || message.contains(ABORTED)
        })
    }

    /// Whether a write was refused because the session or the server is read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.is_refusal(|kind, _| matches!(kind, Kind::ReadOnlyTransaction))
    }

    /// Whether the server refused a statement in a certain way.
    fn is_refusal(&self, matches: impl FnOnce(&Kind, &str) -> bool) -> bool {
        match self {
            Self::Statement {
                source: DieselError::DatabaseError(kind, information),
                ..
            } => matches(kind, information.message()),
            _ => false,
        }
    }

    pub(crate) fn statement(operation: &'static str) -> impl FnOnce(DieselError) -> Self {
        move |source| Self::Statement { operation, source }
    }

    /// The error and its causes in one line, for a log or an operator.
    #[must_use]
    pub fn full(&self) -> String {
        with_causes(self)
    }
}

fn recovery_after(error: &DieselError) -> Recovery {
    match error {
        DieselError::BrokenTransactionManager
        | DieselError::AlreadyInTransaction
        | DieselError::NotInTransaction
        | DieselError::RollbackErrorOnCommit { .. } => Recovery::Wait,
        DieselError::DatabaseError(kind, information) => match kind {
            Kind::UnableToSendCommand
            | Kind::ClosedConnection
            | Kind::SerializationFailure
            | Kind::ReadOnlyTransaction => Recovery::Wait,
            Kind::Unknown => recovery_after_message(information.message()),
            _ => Recovery::Isolate,
        },
        _ => Recovery::Isolate,
    }
}

/// PostgreSQL's message for a statement after one that failed.
const ABORTED: &str = "current transaction is aborted";

/// PostgreSQL's message when it ends a session.
const TERMINATED: &str = "terminating connection";

/// PostgreSQL's untranslated messages when no event is at fault. The driver does not pass on the error's
/// code, and each connection asks for untranslated messages.
const SERVER_FAILURES: [&str; 18] = [
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

/// PostgreSQL's messages when a transaction exceeded a time limit or the memory.
const TOO_MUCH: [&str; 3] = [
    "canceling statement due to",
    "out of memory",
    "invalid memory alloc request size",
];

fn recovery_after_message(message: &str) -> Recovery {
    let says = |part: &&str| message.contains(*part);
    if TOO_MUCH.iter().any(says) {
        Recovery::Split
    } else if SERVER_FAILURES.iter().any(says) {
        Recovery::Wait
    } else {
        Recovery::Isolate
    }
}

/// For `BEGIN`, `COMMIT` and `ROLLBACK`, which diesel runs itself.
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
    fn the_message_of_postgresql_decides_the_recovery() {
        const SPLIT: &[&str] = &[
            "canceling statement due to statement timeout",
            "canceling statement due to lock timeout",
            "out of memory",
        ];
        const WAIT: &[&str] = &[
            "out of shared memory",
            "deadlock detected",
            "terminating connection due to administrator command",
            "could not extend file \"base/1/2\": No space left on device",
            "relation \"payment_orders\" does not exist",
        ];
        const ISOLATE: &[&str] = &[
            "index row size 4000 exceeds btree version 4 maximum 2704 for index \"x\"",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ];
        for (messages, recovery) in [
            (SPLIT, Recovery::Split),
            (WAIT, Recovery::Wait),
            (ISOLATE, Recovery::Isolate),
        ] {
            for message in messages {
                assert_eq!(recovery_after_message(message), recovery, "{message}");
            }
        }
    }
}
