//! What a process checks about its Redis server before it starts.

use std::collections::HashMap;
use std::fmt;

use ::redis::aio::MultiplexedConnection;
use ::redis::{ErrorKind, RedisError, ServerErrorKind};
use harkara_tls::Refusal;

use crate::settings::RedisSettings;

/// The eviction policy under which Redis refuses writes rather than drop entries.
const POLICY_REQUIRED: &str = "noeviction";

/// The first version that has `XAUTOCLAIM` and `XADD … NOMKSTREAM`.
const VERSION_MIN: (u32, u32) = (6, 2);

/// The first version whose `WAITAOF` waits for the fsync in every case. Before, from 7.2 on, with
/// `appendfsync everysec` it confirms a write that is not on the disk yet if another was fsynced less than
/// a second ago (<https://github.com/redis/redis/pull/13793>). So does Valkey, which gives its
/// compatibility as 7.2: 9.1.2 was seen to confirm fifteen writes with two fsyncs.
const WAITAOF_SOUND_SINCE: (u32, u32) = (8, 0);

/// A server that can be used, and what an operator should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// `host:port`.
    pub address: String,
    /// The server's version, such as `7.0.15`; empty when it does not tell.
    pub version: String,
    /// `appendfsync` (`always`, `everysec`, `no`) where the append-only file is on and known.
    pub appendfsync: Option<String>,
    /// Whether it has a `WAITAOF` that confirms nothing but what is on its disk.
    pub has_waitaof: bool,
    /// Replicas that are connected.
    pub replicas: usize,
    /// Bytes in use, and the most that it may use; 0 is no bound, or one that it does not tell.
    pub memory_bytes: (u64, u64),
    /// Risks and gaps that do not stop the start.
    pub notes: Vec<Note>,
}

/// Something about the server that an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The append-only file is off.
    PersistenceOff,
    /// The append-only file is on, but the system decides when it is written to disk.
    FsyncLeftToSystem,
    /// The server does not let us read its configuration.
    ConfigHidden,
}

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

/// Connects once and checks that the server can hold deliveries: reachable, permitted, a primary
/// that evicts nothing. What is merely risky is in the report. Writes nothing.
pub async fn check_server(settings: &RedisSettings) -> Result<ServerReport, ServerProblem> {
    let mut connection = super::connect_blocking(settings, std::time::Duration::ZERO)
        .await
        .map_err(|source| {
            let address = super::address(settings);
            if settings.tls.is_some() && source.is_timeout() {
                ServerProblem::SilentOverTls { address, source }
            } else {
                problem(&address, source)
            }
        })?;
    check_server_over(&mut connection, settings).await
}

/// The same over a connection that was made with these settings before.
pub async fn check_server_over(
    connection: &mut MultiplexedConnection,
    settings: &RedisSettings,
) -> Result<ServerReport, ServerProblem> {
    let address = super::address(settings);
    let info: String = match ::redis::cmd("INFO").query_async(connection).await {
        Ok(info) => info,
        Err(error) => return Err(problem(&address, error)),
    };
    let info = parse_info(&info);
    let field = |name: &str| info.get(name).copied().unwrap_or_default();
    if field("role") == "slave" {
        return Err(ServerProblem::ReadOnlyReplica { address });
    }
    if version(field("redis_version")).is_some_and(|version| version < VERSION_MIN) {
        let version = field("redis_version").to_owned();
        return Err(ServerProblem::TooOld { address, version });
    }
    if field("loading") == "1" {
        return Err(ServerProblem::Loading { address });
    }

    let config: Option<HashMap<String, String>> = match ::redis::cmd("CONFIG")
        .arg("GET")
        .arg(&["maxmemory-policy", "appendonly", "appendfsync"])
        .query_async(connection)
        .await
    {
        Ok(config) => Some(config),
        // Managed services rename or forbid CONFIG; INFO tells the policy all the same.
        Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => None,
        Err(error) => return Err(problem(&address, error)),
    };
    report(address, &info, config.as_ref())
}

fn report(
    address: String,
    info: &HashMap<&str, &str>,
    config: Option<&HashMap<String, String>>,
) -> Result<ServerReport, ServerProblem> {
    let configured = |name: &str| config.and_then(|c| c.get(name)).map(String::as_str);
    let told = |name: &str| info.get(name).copied();

    let policy = configured("maxmemory-policy").or(told("maxmemory_policy"));
    if let Some(policy) = policy.filter(|policy| *policy != POLICY_REQUIRED) {
        return Err(ServerProblem::EvictsEntries {
            address,
            policy: policy.to_owned(),
        });
    }
    let append_only = configured("appendonly").map(|value| value == "yes");
    let append_only = append_only.or(told("aof_enabled").map(|value| value == "1"));
    let appendfsync = configured("appendfsync").filter(|_| append_only == Some(true));

    let number = |name: &str| told(name).and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut notes = Vec::new();
    if append_only == Some(false) {
        notes.push(Note::PersistenceOff);
    }
    if appendfsync == Some("no") {
        notes.push(Note::FsyncLeftToSystem);
    }
    if config.is_none() {
        notes.push(Note::ConfigHidden);
    }
    Ok(ServerReport {
        address,
        version: told("redis_version").unwrap_or_default().to_owned(),
        appendfsync: appendfsync.map(str::to_owned),
        has_waitaof: told("redis_version")
            .and_then(version)
            .is_some_and(|version| version >= WAITAOF_SOUND_SINCE),
        replicas: usize::try_from(number("connected_slaves")).unwrap_or(usize::MAX),
        memory_bytes: (number("used_memory"), number("maxmemory")),
        notes,
    })
}

impl ServerProblem {
    /// What an error of the server at `address` (`host:port`) means for an operator.
    #[must_use]
    pub fn of(address: &str, source: RedisError) -> Self {
        problem(address, source)
    }
}

/// Major and minor version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn version_text((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

fn problem(address: &str, source: RedisError) -> ServerProblem {
    let address = address.to_owned();
    if let Some(refusal) = Refusal::within(&source) {
        let remedy = refusal.remedy("redis");
        return ServerProblem::Untrusted { address, remedy };
    }
    match (source.kind(), source.code()) {
        (_, Some("NOAUTH")) => ServerProblem::PasswordRequired { address, source },
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => {
            ServerProblem::WrongPassword { address, source }
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
            ServerProblem::NotPermitted { address, source }
        }
        // The reason why a transaction was discarded.
        (ErrorKind::Server(ServerErrorKind::ExecAbort), _)
            if source.detail().is_some_and(|told| told.contains("NOPERM")) =>
        {
            ServerProblem::NotPermitted { address, source }
        }
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => ServerProblem::Loading { address },
        (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
            ServerProblem::ReadOnlyReplica { address }
        }
        (ErrorKind::Io, _) => ServerProblem::Unreachable { address, source },
        _ => ServerProblem::Misbehaves { address, source },
    }
}

fn parse_info(info: &str) -> HashMap<&str, &str> {
    info.lines()
        .filter_map(|line| line.trim_end().split_once(':'))
        .collect()
}

impl ServerReport {
    /// Percents of its memory in use; `None` where it has no bound.
    #[must_use]
    pub fn memory_percent(&self) -> Option<u64> {
        let (used, most) = self.memory_bytes;
        (used * 100).checked_div(most)
    }

    /// Logs what the report holds: the server at info, a risk at warn.
    pub fn log(&self) {
        tracing::info!(
            redis.address = self.address,
            redis.version = self.version,
            redis.appendfsync = self.appendfsync.as_deref().unwrap_or("unknown or off"),
            "Redis can be used."
        );
        for note in &self.notes {
            match note {
                Note::PersistenceOff | Note::FsyncLeftToSystem => tracing::warn!("{note}"),
                Note::ConfigHidden => tracing::info!("{note}"),
            }
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PersistenceOff => {
                "Redis does not keep an append-only file: a restart of Redis loses every accepted \
                 delivery that no worker has committed yet. Set appendonly yes."
            }
            Self::FsyncLeftToSystem => {
                "Redis leaves it to the system when its append-only file reaches the disk: a power \
                 failure loses accepted deliveries. Set appendfsync everysec or always."
            }
            Self::ConfigHidden => {
                "Redis does not let this user read its configuration; whether deliveries survive a \
                 restart of Redis could not be checked."
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Note, ServerProblem, VERSION_MIN, parse_info, report, version};

    const INFO: &str =
        "# Server\r\nredis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";

    fn config(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn a_sound_server_has_no_notes() {
        let config = config(&[
            ("maxmemory-policy", "noeviction"),
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
        ]);
        let report = report("h:1".to_owned(), &parse_info(INFO), Some(&config)).unwrap();
        assert_eq!(report.version, "7.0.15");
        assert_eq!(report.appendfsync.as_deref(), Some("everysec"));
        assert_eq!(report.notes, []);
    }

    #[test]
    fn hidden_configuration_is_a_note_and_the_policy_is_still_checked() {
        let info = parse_info(INFO);
        assert_eq!(
            report("h:1".to_owned(), &info, None).unwrap().notes,
            [Note::ConfigHidden]
        );
        let evicting = INFO.replace("noeviction", "allkeys-lru");
        let told = report("h:1".to_owned(), &parse_info(&evicting), None).unwrap_err();
        assert!(
            matches!(told, ServerProblem::EvictsEntries { policy, .. } if policy == "allkeys-lru")
        );
    }

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(version("7.0.15"), Some((7, 0)));
        assert!(version("6.0.20") < Some(VERSION_MIN) && version("6.10.0") > Some(VERSION_MIN));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn a_waitaof_that_confirms_too_early_is_as_good_as_none() {
        for (told, sound) in [
            ("redis_version:7.0.15", false),
            ("redis_version:7.4.2", false),
            (
                "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2",
                false,
            ),
            ("redis_version:8.0.2", true),
        ] {
            let report = report("h:1".to_owned(), &parse_info(told), None).unwrap();
            assert_eq!(report.has_waitaof, sound, "{told}");
        }
    }

    #[test]
    fn missing_persistence_is_a_note() {
        let config = config(&[("appendonly", "no"), ("appendfsync", "everysec")]);
        let report = report("h:1".to_owned(), &parse_info(INFO), Some(&config)).unwrap();
        assert_eq!(report.notes, [Note::PersistenceOff]);
        assert_eq!(report.appendfsync, None);
    }
}
