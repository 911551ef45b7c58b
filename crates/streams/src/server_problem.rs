//! Why a Redis server cannot be used, and what an operator does about it.

use harkara_tls::Refusal;
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::server_check::VERSION_MIN;

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerProblem {
    /// No connection.
    #[error(
        "Redis at {address} cannot be reached; start it, or correct redis.url (HARKARA__REDIS__URL)"
    )]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the operating system said.
        #[source]
        source: RedisError,
    },
    /// Nothing came of a handshake: nobody is there, or a server without TLS that waits for a command.
    #[error(
        "Redis at {address} does not answer over TLS; start it, or correct redis.url (HARKARA__REDIS__URL), which begins with redis:// where Redis speaks no TLS"
    )]
    SilentOverTls {
        /// `host:port`.
        address: String,
        /// That the time was up.
        #[source]
        source: RedisError,
    },
    /// No TLS connection: its certificate is refused, or ours is.
    #[error("Redis at {address}: {remedy}")]
    Untrusted {
        /// `host:port`.
        address: String,
        /// What is wrong with which certificate, and what to do about it.
        remedy: String,
    },
    /// The password or user is wrong.
    #[error(
        "Redis at {address} refuses the user name or password of redis.url (HARKARA__REDIS__URL)"
    )]
    WrongPassword {
        /// `host:port`.
        address: String,
        /// What the server said.
        #[source]
        source: RedisError,
    },
    /// The server wants a password and the URL has none.
    #[error("Redis at {address} requires a password and redis.url (HARKARA__REDIS__URL) has none")]
    PasswordRequired {
        /// `host:port`.
        address: String,
        /// What the server said.
        #[source]
        source: RedisError,
    },
    /// The user may not run what we need.
    #[error(
        "the user of redis.url may not run a command that Harkara needs on Redis at {address}; allow it with ACL SETUSER"
    )]
    NotPermitted {
        /// `host:port`.
        address: String,
        /// What the server said.
        #[source]
        source: RedisError,
    },
    /// The server is a replica.
    #[error(
        "Redis at {address} is a read-only replica; point redis.url (HARKARA__REDIS__URL) at its primary"
    )]
    ReadOnlyReplica {
        /// `host:port`.
        address: String,
    },
    /// The server may drop entries when its memory is full.
    #[error(
        "Redis at {address} has maxmemory-policy {policy} and would drop deliveries when its memory is full; set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf)"
    )]
    EvictsEntries {
        /// `host:port`.
        address: String,
        /// The policy it has.
        policy: String,
    },
    /// The server lacks commands that Harkara needs.
    #[error(
        "Redis at {address} is version {version}; Harkara needs {} or later",
        version_text(VERSION_MIN)
    )]
    TooOld {
        /// `host:port`.
        address: String,
        /// The version it has.
        version: String,
    },
    /// The server is still reading its data.
    #[error("Redis at {address} is still loading its data; start again when it has finished")]
    Loading {
        /// `host:port`.
        address: String,
    },
    /// Anything else, such as an answer that did not come in time.
    #[error("Redis at {address} does not answer as it should")]
    Misbehaves {
        /// `host:port`.
        address: String,
        /// What went wrong.
        #[source]
        source: RedisError,
    },
}

impl ServerProblem {
    /// What an error of the server at `address` (`host:port`) means for an operator.
    #[must_use]
    pub fn of(address: &str, source: RedisError) -> Self {
        let address = address.to_owned();
        if let Some(refusal) = Refusal::within(&source) {
            let remedy = refusal.remedy("redis");
            return Self::Untrusted { address, remedy };
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

fn version_text((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}
