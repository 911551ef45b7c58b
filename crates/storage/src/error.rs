//! Errors of PostgreSQL, and how to recover from them.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use harkara_core::causes::with_causes;
use harkara_tls::Refusal;
use tokio_postgres::error::SqlState;

use crate::{projections, sqlstate};

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
    /// A default partition was replaced by copies that lack some of its rows. It was kept.
    #[error(
        "{former} has rows that {table} lacks; insert them again, or drop it if they were deleted on purpose"
    )]
    RowsNotCopied {
        /// The table.
        table: &'static str,
        /// Its former default partition.
        former: String,
    },
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
    /// The Unix socket cannot be connected to.
    #[error("{path}")]
    Socket {
        /// The socket's path; the source says what happened there.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The URL asks for TLS, and none is set up.
    #[error("postgres.url asks for TLS, which is not set up")]
    TlsNotSetUp,
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
    /// Postpone the events that change the [table](StorageError::table), which cannot be written now. No event
    /// is at fault.
    Postpone,
    /// Find out who has the lock that was not granted in time. If it is on a whole table, postpone its events, or wait
    /// if every event needs it; if it is on a row, split the batch. No event is at fault.
    FindLock,
    /// Split the batch until the event is alone whose rows are on damaged pages or on a failing disk, and postpone it.
    /// If several are, postpone the events of the table. No event is at fault.
    FindDamage,
}

impl StorageError {
    /// How to recover. An event is at fault only if its content can have caused the error.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Connect(_)
            | Self::Untrusted { .. }
            | Self::Migration(_)
            | Self::RowsNotCopied { .. }
            | Self::HolderNotFound => Recovery::Wait,
            Self::TimedOut { .. } => Recovery::Split,
            Self::Statement { .. } if self.is_about_a_table() => Recovery::Postpone,
            Self::Statement { source, .. } => recovery_after(source),
        }
    }

    /// Whether the failure is about the table of a projection, and not about the whole store.
    fn is_about_a_table(&self) -> bool {
        let code = self.refusal().and_then(|(_, code)| code);
        self.table().is_some() && code.is_some_and(|code| may_be_about_a_table(code.code()))
    }

    /// The table whose projection failed; `None` if the failure was elsewhere.
    #[must_use]
    pub fn table(&self) -> Option<&'static str> {
        match self {
            Self::Statement { operation, .. } => {
                projections::tables().find(|table| table == operation)
            }
            _ => None,
        }
    }

    /// Whether the server closed the connection during a statement, as it does with all open connections when
    /// it restarts. A new connection may work immediately.
    #[must_use]
    pub fn ended_the_connection(&self) -> bool {
        match self.refusal() {
            Some((_, Some(code))) => ends_the_connection(code.code()),
            Some((kind, None)) => is_about_the_connection(*kind),
            None => false,
        }
    }

    /// Whether an optimistic insert failed because an identity is known. Statements pipelined behind the
    /// refused one fail because the transaction is aborted.
    pub(crate) fn is_identity_conflict(&self) -> bool {
        let code = self.refusal().and_then(|(_, code)| code);
        matches!(
            code,
            Some(SqlState::UNIQUE_VIOLATION | SqlState::IN_FAILED_SQL_TRANSACTION)
        )
    }

    /// Whether the server refused to let somebody in (class 28 of SQLSTATE).
    pub(crate) fn is_refused_login(&self) -> bool {
        let Self::Connect(ConnectError::Server { source, .. }) = self else {
            return false;
        };
        source
            .code()
            .is_some_and(|code| code.code().starts_with("28"))
    }

    /// Whether a write was refused because the session or the server is read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        let code = self.refusal().and_then(|(_, code)| code);
        code == Some(SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// Whether a statement gave up waiting for a lock.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        let code = self.refusal().and_then(|(_, code)| code);
        code == Some(SqlState::LOCK_NOT_AVAILABLE)
    }

    /// Whether a prepared statement was gone, or was there before it was prepared: others use the session too.
    pub(crate) fn is_shared_session(&self) -> bool {
        let (Self::Statement { source, .. }
        | Self::Connect(ConnectError::Session(ConnectionError::CouldntSetupConfiguration(
            source,
        )))) = self
        else {
            return false;
        };
        let DieselError::DatabaseError(_, information) = source else {
            return false;
        };
        matches!(
            sqlstate::of_message(information.message()),
            Some(SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT)
        )
    }

    /// Whether a statement was cancelled, most likely by its timeout.
    pub(crate) fn is_cancelled(&self) -> bool {
        let code = self.refusal().and_then(|(_, code)| code);
        code == Some(SqlState::QUERY_CANCELED)
    }

    /// Whether a statement did not fit the tables as they are: a name, a column or a bound of a partition.
    pub(crate) fn is_about_the_schema(&self) -> bool {
        let code = self.refusal().and_then(|(_, code)| code);
        code.is_some_and(|code| {
            code.code().starts_with("42") && code != SqlState::INSUFFICIENT_PRIVILEGE
        })
    }

    /// What the server or the driver said to a statement: the driver's kind, and the server's code.
    fn refusal(&self) -> Option<(&Kind, Option<SqlState>)> {
        match self {
            Self::Statement {
                source: DieselError::DatabaseError(kind, information),
                ..
            } => Some((kind, sqlstate::of_message(information.message()))),
            _ => None,
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
        DieselError::DatabaseError(kind, information) => {
            match sqlstate::of_message(information.message()) {
                Some(code) => recovery_after_code(code.code()),
                None if is_about_the_connection(*kind) => Recovery::Wait,
                None => Recovery::Isolate,
            }
        }
        _ => Recovery::Isolate,
    }
}

/// Whether the driver failed to send a statement or to receive its answer.
fn is_about_the_connection(kind: Kind) -> bool {
    matches!(kind, Kind::UnableToSendCommand | Kind::ClosedConnection)
}

/// The recovery from an error with this code, by the [classes of PostgreSQL][codes].
///
/// `XX000` (internal error) and `54000` (limit of the program) may have either cause, so the event is isolated.
/// It is blamed only if its ledger row alone can be written.
///
/// [codes]: https://www.postgresql.org/docs/current/errcodes-appendix.html
fn recovery_after_code(code: &str) -> Recovery {
    match code {
        // Cancelled by a timeout, ran for too long, used too much memory.
        "57014" | "25P04" | "53200" => Recovery::Split,
        // Waited too long for a lock.
        "55P03" => Recovery::FindLock,
        // Damaged data or index, error of the disk: perhaps only of some pages.
        "XX001" | "XX002" | "58030" => Recovery::FindDamage,
        _ => match code.get(..2) {
            Some(
                // Connection, feature not supported (a plan that a migration has outdated), role.
                "08" | "0A" | "0L" | "0P"
                // State of the transaction, prepared statement unknown, authorization, database, schema.
                | "25" | "26" | "28" | "3D" | "3F"
                // Rollback (deadlock, serialization), access or schema, which no content can change.
                | "40" | "42"
                // Resources, state of an object, operator, system, snapshot, configuration file.
                | "53" | "55" | "57" | "58" | "72" | "F0",
            ) => Recovery::Wait,
            // Data, constraints, triggers, and whatever else the content of an event may cause.
            _ => Recovery::Isolate,
        },
    }
}

/// Whether an error of this code may be about the one table that the statement writes. (Ledger rows are written
/// before, in the same transaction, so the store as a whole works.)
fn may_be_about_a_table(code: &str) -> bool {
    match code {
        // A lock; an error of the disk, perhaps only of some pages; and prepared statements and cursors, which a
        // pooler mixes up.
        "55P03" | "58030" | "42P03" | "42P05" | "42P14" => false,
        // Full disk.
        "53100" => true,
        // Privileges and the shape of tables, state of an object, errors of its files.
        _ => matches!(code.get(..2), Some("42" | "55" | "58")),
    }
}

/// Whether the server closes the connection with an error of this code.
fn ends_the_connection(code: &str) -> bool {
    match code {
        // Shutdown, crash, start, dropped database, idle session, and the timeouts of transactions.
        "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04" => true,
        _ => code.starts_with("08"),
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
mod tests;
