//! What a process checks about its Redis server before it starts.

use std::collections::HashMap;
use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, Value};

use crate::server_problem::ServerProblem;
use harkara_settings::RedisSettings;

/// The eviction policy under which Redis refuses writes rather than drop entries.
const POLICY_REQUIRED: &str = "noeviction";

/// The first version that has `XAUTOCLAIM` and `XADD … NOMKSTREAM`.
pub(super) const VERSION_MIN: (u32, u32) = (6, 2);

/// The version that brought `WAITAOF`, and the one since which it can be relied on again: from 7.4 on it
/// was answered before the fsync where Redis fsyncs every second (redis/redis#13793). Valkey inherited that
/// and has it still (8.0 to 9.1 were measured), so none of its versions counts.
const WAITAOF_FIRST: (u32, u32) = (7, 2);
const WAITAOF_AGAIN: (u32, u32) = (8, 0);

/// A replica that has not been heard of for longer is not counted: a sound one tells every second how far
/// it is, and one that hangs is dropped by Redis only after a minute.
const REPLICA_LAG_MAX_S: u64 = 2;

/// A server that can be used, and what an operator should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// `host:port`.
    pub address: String,
    /// The server's version, such as `7.0.15` or `Valkey 8.0.1`; empty when it does not tell.
    pub version: String,
    /// `appendfsync` (`always`, `everysec`, `no`) where the append-only file is on and known.
    pub appendfsync: Option<String>,
    /// What confirms that a write is on its disk.
    pub fsync: Fsync,
    /// Replicas that follow.
    pub replicas: usize,
    /// Bytes in use, and the most that it may use; 0 is no bound, or one that it does not tell.
    pub memory_bytes: (u64, u64),
    /// Risks and gaps that do not stop the start.
    pub notes: Vec<Note>,
}

/// What confirms that a write is on the server's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// The answer to the write.
    BeforeAnswer,
    /// The answer to `WAITAOF`.
    WhenAsked,
    /// Nothing.
    Unconfirmed,
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

/// Connects once and checks that the server can hold deliveries: reachable, permitted, a primary
/// that evicts nothing. What is merely risky is in the report. Writes nothing.
pub async fn check_server(settings: &RedisSettings) -> Result<ServerReport, ServerProblem> {
    let mut connection = connect_to_check(settings).await?;
    check_server_over(&mut connection, settings).await
}

/// A connection of its own for looking at the server.
pub async fn connect_to_check(
    settings: &RedisSettings,
) -> Result<MultiplexedConnection, ServerProblem> {
    let connected = crate::connect_blocking(settings, std::time::Duration::ZERO).await;
    connected.map_err(|source| {
        let address = crate::address(settings);
        if settings.tls.is_some() && source.is_timeout() {
            ServerProblem::SilentOverTls { address, source }
        } else {
            ServerProblem::of(&address, source)
        }
    })
}

/// The same over a connection that was made with these settings before.
pub async fn check_server_over(
    connection: &mut MultiplexedConnection,
    settings: &RedisSettings,
) -> Result<ServerReport, ServerProblem> {
    let address = crate::address(settings);
    let mut answers = ask(connection)
        .await
        .map_err(|error| ServerProblem::of(&address, error))?
        .into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);
    let info: String = read(next()).map_err(|error| ServerProblem::of(&address, error))?;
    // Managed services rename or forbid CONFIG; INFO tells the policy all the same.
    let config: Option<HashMap<String, String>> = read(next()).ok();

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
    report(address, &info, config.as_ref())
}

/// What the server tells of itself and of its configuration, in one round trip; a refusal of either stands
/// in the place of its answer.
async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
    let mut questions = redis::pipe();
    questions.ignore_errors().cmd("INFO");
    questions.cmd("CONFIG").arg("GET").arg(&[
        "maxmemory-policy",
        "appendonly",
        "appendfsync",
        "no-appendfsync-on-rewrite",
    ]);
    questions.query_async(connection).await
}

fn read<T: FromRedisValue>(answer: Value) -> RedisResult<T> {
    match answer {
        Value::ServerError(refusal) => Err(refusal.into()),
        answer => Ok(T::from_redis_value(answer)?),
    }
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
        version: match told("valkey_version") {
            Some(version) => format!("Valkey {version}"),
            None => told("redis_version").unwrap_or_default().to_owned(),
        },
        appendfsync: appendfsync.map(str::to_owned),
        fsync: match appendfsync {
            // With `yes` it answers before the fsync while it rewrites its file.
            Some("always") if configured("no-appendfsync-on-rewrite") == Some("no") => {
                Fsync::BeforeAnswer
            }
            Some("always" | "everysec") if has_sound_waitaof(info) => Fsync::WhenAsked,
            _ => Fsync::Unconfirmed,
        },
        replicas: info
            .iter()
            .filter(|(name, told)| is_replica_that_follows(name, told))
            .count(),
        memory_bytes: (number("used_memory"), number("maxmemory")),
        notes,
    })
}

/// Whether `WAITAOF` is there and waits for the fsync.
fn has_sound_waitaof(info: &HashMap<&str, &str>) -> bool {
    let is_redis = !info.contains_key("valkey_version")
        && info.get("server_name").is_none_or(|name| *name == "redis");
    let version = info.get("redis_version").copied().and_then(version);
    is_redis && version.is_some_and(|v| v == WAITAOF_FIRST || v >= WAITAOF_AGAIN)
}

/// Whether a line of `INFO`, such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0`, is of a
/// replica that has all but the last moments.
fn is_replica_that_follows(name: &str, told: &str) -> bool {
    let number = name.strip_prefix("slave");
    let fields = fields_of(told);
    let of = |wanted: &str| fields.get(wanted).copied();
    number.is_some_and(|number| number.parse::<u32>().is_ok())
        && of("state") == Some("online")
        && of("lag")
            .and_then(|lag| lag.parse().ok())
            .is_some_and(|lag: u64| lag <= REPLICA_LAG_MAX_S)
}

/// Major and minor version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// The fields of a line such as `ip=10.0.0.2,port=6379`.
pub(super) fn fields_of(told: &str) -> HashMap<&str, &str> {
    told.split(',')
        .filter_map(|pair| pair.split_once('='))
        .collect()
}

/// What `INFO` tells, by name.
pub(super) fn parse_info(info: &str) -> HashMap<&str, &str> {
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

    use super::{Fsync, Note, ServerProblem, VERSION_MIN, parse_info, report, version};

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
    fn a_write_is_on_the_disk_only_where_the_server_can_be_relied_on_for_it() {
        use Fsync::{BeforeAnswer, Unconfirmed, WhenAsked};
        for (appendfsync, on_rewrite, server, expected) in [
            ("always", "no", "redis_version:7.0.15", BeforeAnswer),
            ("always", "yes", "redis_version:7.0.15", Unconfirmed),
            ("always", "yes", "redis_version:7.2.4", WhenAsked),
            ("everysec", "no", "redis_version:7.0.15", Unconfirmed),
            ("everysec", "no", "redis_version:7.2.11", WhenAsked),
            ("everysec", "no", "redis_version:7.4.7", Unconfirmed),
            ("everysec", "no", "redis_version:8.2.1", WhenAsked),
            ("no", "no", "redis_version:8.2.1", Unconfirmed),
            (
                "everysec",
                "no",
                "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2",
                Unconfirmed,
            ),
        ] {
            let config = config(&[
                ("appendonly", "yes"),
                ("appendfsync", appendfsync),
                ("no-appendfsync-on-rewrite", on_rewrite),
            ]);
            let report = report("h:1".to_owned(), &parse_info(server), Some(&config)).unwrap();
            assert_eq!(
                report.fsync, expected,
                "{appendfsync} {on_rewrite} {server}"
            );
        }
    }

    #[test]
    fn only_replicas_that_follow_are_counted() {
        let info = "connected_slaves:4\r\n\
                    slave0:ip=10.0.0.2,port=6379,state=online,offset=7,lag=1\r\n\
                    slave1:ip=10.0.0.3,port=6379,state=online,offset=7,lag=9\r\n\
                    slave2:ip=10.0.0.4,port=6379,state=wait_bgsave,offset=0,lag=0\r\n\
                    slave10:ip=10.0.0.5,port=6379,state=online,offset=7,lag=0\r\n\
                    slave_repl_offset:7\r\n";
        let report = report("h:1".to_owned(), &parse_info(info), None).unwrap();
        assert_eq!(report.replicas, 2);
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
    fn missing_persistence_is_a_note() {
        let config = config(&[("appendonly", "no"), ("appendfsync", "everysec")]);
        let report = report("h:1".to_owned(), &parse_info(INFO), Some(&config)).unwrap();
        assert_eq!(report.notes, [Note::PersistenceOff]);
        assert_eq!(report.appendfsync, None);
    }
}
