//! Why a Redis server cannot be used, and what an operator does about it.

use std::fmt;

use harkara_tls::Refusal;
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::server_check::VERSION_MIN;

/// Why a server cannot be used. Displayed with its remedy.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "`address` is `host:port`, `source` what the server or system said"
)]
pub enum ServerProblem {
    /// No connection.
    Unreachable { address: String, source: RedisError },
    /// No answer to the handshake: nothing listens, or a server without TLS waits for a command.
    SilentOverTls { address: String, source: RedisError },
    /// No TLS connection: its certificate is refused, or ours is.
    Untrusted { address: String, refusal: Refusal },
    /// The password or user is wrong.
    WrongPassword { address: String, source: RedisError },
    /// The server wants a password and the URL has none.
    PasswordRequired { address: String, source: RedisError },
    /// The user may not run a command that Harkara needs.
    NotPermitted { address: String, source: RedisError },
    /// The server is a replica.
    ReadOnlyReplica { address: String },
    /// The server may drop entries when its memory is full.
    EvictsEntries { address: String, policy: String },
    /// The server lacks commands that Harkara needs.
    TooOld { address: String, version: String },
    /// The server is still reading its data.
    Loading { address: String },
    /// Anything else, such as an answer that did not come in time.
    Misbehaves { address: String, source: RedisError },
}

impl fmt::Display for ServerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem(), self.remedy())
    }
}

impl ServerProblem {
    /// The problem alone.
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::Unreachable { address, .. } => format!("Redis at {address} cannot be reached"),
            Self::SilentOverTls { address, .. } => {
                format!("Redis at {address} does not answer over TLS")
            }
            Self::Untrusted { address, refusal } => {
                format!("Redis at {address}: {}", refusal.problem())
            }
            Self::WrongPassword { address, .. } => {
                format!("Redis at {address} refuses the user name or password of redis.url")
            }
            Self::PasswordRequired { address, .. } => {
                format!("Redis at {address} requires a password and redis.url has none")
            }
            Self::NotPermitted { address, .. } => format!(
                "the user of redis.url may not run a command that Harkara needs on Redis at {address}"
            ),
            Self::ReadOnlyReplica { address } => {
                format!("Redis at {address} is a read-only replica")
            }
            Self::EvictsEntries { address, policy } => format!(
                "Redis at {address} has maxmemory-policy {policy} and would drop deliveries when its memory is full"
            ),
            Self::TooOld { address, version } => {
                let (major, minor) = VERSION_MIN;
                format!(
                    "Redis at {address} is version {version}; Harkara needs {major}.{minor} or later"
                )
            }
            Self::Loading { address } => format!("Redis at {address} is still loading its data"),
            Self::Misbehaves { address, .. } => {
                format!("Redis at {address} gives an unexpected answer, or none in time")
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let remedy = match self {
            Self::Unreachable { .. } => "start it, or correct redis.url (HARKARA__REDIS__URL)",
            Self::SilentOverTls { .. } => {
                "start it, or correct redis.url (HARKARA__REDIS__URL): use redis:// if Redis \
                 does not speak TLS"
            }
            Self::Untrusted { refusal, .. } => return refusal.remedy("redis"),
            Self::WrongPassword { .. } => {
                "correct the user name and password in redis.url (HARKARA__REDIS__URL)"
            }
            Self::PasswordRequired { .. } => {
                "add it to redis.url (HARKARA__REDIS__URL): redis://user:password@host:port"
            }
            Self::NotPermitted { .. } => "allow it with ACL SETUSER",
            Self::ReadOnlyReplica { .. } => "point redis.url (HARKARA__REDIS__URL) at its primary",
            Self::EvictsEntries { .. } => {
                "set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf)"
            }
            Self::TooOld { .. } => "install a newer Redis",
            Self::Loading { .. } => "start again when it has finished",
            Self::Misbehaves { .. } => "read its log",
        };
        remedy.to_owned()
    }

    /// What an error of the server at `address` (`host:port`) means for an operator.
    #[must_use]
    pub fn of(address: &str, source: RedisError) -> Self {
        let address = address.to_owned();
        if let Some(refusal) = Refusal::within(&source) {
            return Self::Untrusted { address, refusal };
        }
        match (source.kind(), source.code()) {
            (_, Some("NOAUTH")) => Self::PasswordRequired { address, source },
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => {
                Self::WrongPassword { address, source }
            }
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
                Self::NotPermitted { address, source }
            }
            // The reason why a transaction was discarded.
            (ErrorKind::Server(ServerErrorKind::ExecAbort), _)
                if source.detail().is_some_and(|told| told.contains("NOPERM")) =>
            {
                Self::NotPermitted { address, source }
            }
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => Self::Loading { address },
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => Self::ReadOnlyReplica { address },
            (ErrorKind::Io, _) => Self::Unreachable { address, source },
            _ => Self::Misbehaves { address, source },
        }
    }
}
