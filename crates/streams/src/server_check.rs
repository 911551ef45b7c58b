//! Checks that a Redis server can hold deliveries.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, Value};

use crate::server_problem::ServerProblem;
use harkara_settings::RedisSettings;

/// The eviction policy under which Redis refuses writes rather than drop entries.
const POLICY_REQUIRED: &str = "noeviction";

/// The first version that has `XAUTOCLAIM` and `XADD … NOMKSTREAM`.
pub(super) const VERSION_MIN: (u32, u32) = (6, 2);

/// The version that introduced `WAITAOF`, and the one since which it is reliable again: from 7.4 on it
/// replied before the fsync under `appendfsync everysec` (redis/redis#13793). Valkey inherited that bug and
/// still has it (8.0 to 9.1 were measured), so none of its versions counts.
const WAITAOF_FIRST: (u32, u32) = (7, 2);
const WAITAOF_AGAIN: (u32, u32) = (8, 0);

/// A replica with a greater lag is not counted. A healthy one acknowledges every second, and Redis drops a
/// hanging one only after a minute.
const REPLICA_LAG_MAX_S: u64 = 2;

/// A usable server, and what an operator should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// `host:port`.
    pub address: String,
    /// The server's version, such as `7.0.15` or `Valkey 8.0.1`; empty if unknown.
    pub version: String,
    /// `appendfsync` (`always`, `everysec`, `no`) if the append-only file is known to be on.
    pub appendfsync: Option<String>,
    /// How it confirms that a write is on its disk.
    pub fsync: Fsync,
    /// Replicas that keep up.
    pub replicas: usize,
    /// Bytes in use, and `maxmemory`; 0 if unlimited or unknown.
    pub memory_bytes: (u64, u64),
    /// Risks that do not prevent the start.
    pub warnings: Vec<Warning>,
}

/// How a server confirms that a write is on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// By the reply to the write.
    BeforeReply,
    /// By the reply to `WAITAOF`.
    OnRequest,
    /// Not at all.
    Unconfirmed,
}

/// A risk that an operator should know. Displayed with what to do about it.
#[derive(Clone, Copy, Debug, strum::Display, PartialEq, Eq)]
pub enum Warning {
    /// The append-only file is off.
    #[strum(
        to_string = "Redis keeps no append-only file: restarting it loses every accepted delivery that no \
                     worker has committed yet. Set appendonly yes."
    )]
    PersistenceOff,
    /// The operating system decides when the append-only file reaches the disk.
    #[strum(
        to_string = "Redis leaves fsync to the operating system: a power failure loses accepted \
                     deliveries. Set appendfsync everysec or always."
    )]
    FsyncLeftToSystem,
    /// The server's configuration is not readable.
    #[strum(
        to_string = "The configuration of Redis is not readable for this user; cannot check whether \
                     deliveries survive a restart of Redis."
    )]
    ConfigHidden,
}

/// Connects and checks that the server can hold deliveries: reachable, permitted, and a primary that evicts
/// nothing. Mere risks are in the report. Writes nothing.
pub async fn check_server(settings: &RedisSettings) -> Result<ServerReport, ServerProblem> {
    let mut connection = connect_to_check(settings).await?;
    check_server_over(&mut connection, settings).await
}

/// Opens a connection for [`check_server_over`].
pub async fn connect_to_check(
    settings: &RedisSettings,
) -> Result<MultiplexedConnection, ServerProblem> {
    let connected = crate::connect::connect(settings).await;
    connected.map_err(|source| {
        let address = crate::address(settings);
        if settings.tls.is_some() && source.is_timeout() {
            ServerProblem::SilentOverTls { address, source }
        } else {
            ServerProblem::of(&address, source)
        }
    })
}

/// The same over a connection that was opened with these settings.
pub async fn check_server_over(
    connection: &mut MultiplexedConnection,
    settings: &RedisSettings,
) -> Result<ServerReport, ServerProblem> {
    let address = crate::address(settings);
    let replies = request(connection).await;
    let mut replies = replies
        .map_err(|error| ServerProblem::of(&address, error))?
        .into_iter();
    let mut next = || replies.next().unwrap_or(Value::Nil);
    let info: String = read(next()).map_err(|error| ServerProblem::of(&address, error))?;
    // Managed services rename or forbid CONFIG, but INFO contains the policy.
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

/// Requests `INFO` and the configuration in one round trip. A refusal takes the place of the reply.
async fn request(connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
    let mut commands = redis::pipe();
    commands.ignore_errors().cmd("INFO");
    commands.cmd("CONFIG").arg("GET").arg(&[
        "maxmemory-policy",
        "appendonly",
        "appendfsync",
        "no-appendfsync-on-rewrite",
    ]);
    commands.query_async(connection).await
}

fn read<T: FromRedisValue>(reply: Value) -> RedisResult<T> {
    match reply {
        Value::ServerError(refusal) => Err(refusal.into()),
        reply => Ok(T::from_redis_value(reply)?),
    }
}

fn report(
    address: String,
    info: &HashMap<&str, &str>,
    config: Option<&HashMap<String, String>>,
) -> Result<ServerReport, ServerProblem> {
    let configured = |name: &str| config.and_then(|c| c.get(name)).map(String::as_str);
    let reported = |name: &str| info.get(name).copied();

    let policy = configured("maxmemory-policy").or(reported("maxmemory_policy"));
    if let Some(policy) = policy.filter(|policy| *policy != POLICY_REQUIRED) {
        let policy = policy.to_owned();
        return Err(ServerProblem::EvictsEntries { address, policy });
    }
    let append_only = configured("appendonly").map(|value| value == "yes");
    let append_only = append_only.or(reported("aof_enabled").map(|value| value == "1"));
    let appendfsync = configured("appendfsync").filter(|_| append_only == Some(true));

    let number = |name: &str| reported(name).and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut warnings = Vec::new();
    if append_only == Some(false) {
        warnings.push(Warning::PersistenceOff);
    }
    if appendfsync == Some("no") {
        warnings.push(Warning::FsyncLeftToSystem);
    }
    if config.is_none() {
        warnings.push(Warning::ConfigHidden);
    }
    Ok(ServerReport {
        address,
        version: match reported("valkey_version") {
            Some(version) => format!("Valkey {version}"),
            None => reported("redis_version").unwrap_or_default().to_owned(),
        },
        appendfsync: appendfsync.map(str::to_owned),
        fsync: match appendfsync {
            // With `yes` it replies before the fsync while it rewrites the file.
            Some("always") if configured("no-appendfsync-on-rewrite") == Some("no") => {
                Fsync::BeforeReply
            }
            Some("always" | "everysec") if has_reliable_waitaof(info) => Fsync::OnRequest,
            _ => Fsync::Unconfirmed,
        },
        replicas: info
            .iter()
            .filter(|(name, line)| is_live_replica(name, line))
            .count(),
        memory_bytes: (number("used_memory"), number("maxmemory")),
        warnings,
    })
}

/// Whether `WAITAOF` exists and waits for the fsync.
fn has_reliable_waitaof(info: &HashMap<&str, &str>) -> bool {
    let is_redis = !info.contains_key("valkey_version")
        && info.get("server_name").is_none_or(|name| *name == "redis");
    let version = info.get("redis_version").copied().and_then(version);
    is_redis && version.is_some_and(|v| v == WAITAOF_FIRST || v >= WAITAOF_AGAIN)
}

/// Whether a line of `INFO`, such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0`, describes a
/// replica that keeps up.
fn is_live_replica(name: &str, line: &str) -> bool {
    let number = name.strip_prefix("slave");
    let fields = fields_of(line);
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
pub(super) fn fields_of(line: &str) -> HashMap<&str, &str> {
    line.split(',')
        .filter_map(|pair| pair.split_once('='))
        .collect()
}

/// The fields of `INFO` by name.
pub(super) fn parse_info(info: &str) -> HashMap<&str, &str> {
    info.lines()
        .filter_map(|line| line.trim_end().split_once(':'))
        .collect()
}

impl ServerReport {
    /// Percentage of `maxmemory` in use; `None` if unlimited.
    #[must_use]
    pub(crate) fn memory_percent(&self) -> Option<u64> {
        let (used, most) = self.memory_bytes;
        (used * 100).checked_div(most)
    }

    /// Logs the server at info and each risk at warn.
    pub fn log(&self) {
        tracing::info!(
            redis.address = self.address,
            redis.version = self.version,
            redis.appendfsync = self.appendfsync.as_deref().unwrap_or("unknown or off"),
            "Connected to Redis."
        );
        for warning in &self.warnings {
            match warning {
                Warning::PersistenceOff | Warning::FsyncLeftToSystem => tracing::warn!("{warning}"),
                Warning::ConfigHidden => tracing::info!("{warning}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fsync, ServerProblem, ServerReport, VERSION_MIN, Warning, parse_info, version};

    const INFO: &str =
        "# Server\r\nredis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";

    /// The report of a server with this `INFO` and, unless it is hidden, this configuration.
    fn report(info: &str, config: Option<&[(&str, &str)]>) -> Result<ServerReport, ServerProblem> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let config = config.map(|pairs| pairs.iter().map(owned).collect());
        super::report("h:1".to_owned(), &parse_info(info), config.as_ref())
    }

    #[test]
    fn a_sound_server_has_no_warnings() {
        let config = [
            ("maxmemory-policy", "noeviction"),
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
        ];
        let report = report(INFO, Some(&config)).unwrap();
        assert_eq!(report.version, "7.0.15");
        assert_eq!(report.appendfsync.as_deref(), Some("everysec"));
        assert_eq!(report.warnings, []);
    }

    #[test]
    fn fsyncs_are_confirmed_only_by_servers_that_do_so_reliably() {
        use Fsync::{BeforeReply, OnRequest, Unconfirmed};
        const VALKEY: &str = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2";
        for (appendfsync, on_rewrite, server, expected) in [
            ("always", "no", "redis_version:7.0.15", BeforeReply),
            ("always", "yes", "redis_version:7.0.15", Unconfirmed),
            ("always", "yes", "redis_version:7.2.4", OnRequest),
            ("everysec", "no", "redis_version:7.0.15", Unconfirmed),
            ("everysec", "no", "redis_version:7.2.11", OnRequest),
            ("everysec", "no", "redis_version:7.4.7", Unconfirmed),
            ("everysec", "no", "redis_version:8.2.1", OnRequest),
            ("no", "no", "redis_version:8.2.1", Unconfirmed),
            ("everysec", "no", VALKEY, Unconfirmed),
        ] {
            let config = [
                ("appendonly", "yes"),
                ("appendfsync", appendfsync),
                ("no-appendfsync-on-rewrite", on_rewrite),
            ];
            let report = report(server, Some(&config)).unwrap();
            assert_eq!(report.fsync, expected, "{config:?} {server}");
        }
    }

    #[test]
    fn only_live_replicas_are_counted() {
        let info = "connected_slaves:4\r\n\
                    slave0:ip=10.0.0.2,port=6379,state=online,offset=7,lag=1\r\n\
                    slave1:ip=10.0.0.3,port=6379,state=online,offset=7,lag=9\r\n\
                    slave2:ip=10.0.0.4,port=6379,state=wait_bgsave,offset=0,lag=0\r\n\
                    slave10:ip=10.0.0.5,port=6379,state=online,offset=7,lag=0\r\n\
                    slave_repl_offset:7\r\n";
        assert_eq!(report(info, None).unwrap().replicas, 2);
    }

    #[test]
    fn hidden_configuration_is_a_warning_and_the_policy_is_still_checked() {
        let hidden = report(INFO, None).unwrap();
        assert_eq!(hidden.warnings, [Warning::ConfigHidden]);
        let problem = report(&INFO.replace("noeviction", "allkeys-lru"), None).unwrap_err();
        assert!(
            matches!(problem, ServerProblem::EvictsEntries { policy, .. } if policy == "allkeys-lru")
        );
    }

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(version("7.0.15"), Some((7, 0)));
        assert!(version("6.0.20") < Some(VERSION_MIN) && version("6.10.0") > Some(VERSION_MIN));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn missing_persistence_is_a_warning() {
        let config = [("appendonly", "no"), ("appendfsync", "everysec")];
        let report = report(INFO, Some(&config)).unwrap();
        assert_eq!(report.warnings, [Warning::PersistenceOff]);
        assert_eq!(report.appendfsync, None);
    }
}
