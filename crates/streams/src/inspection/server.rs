//! A server's memory, persistence, replicas and clients.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::server_check::{fields_of, parse_info};

/// The state of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// Time since its start.
    pub uptime: Duration,
    /// Bytes in use, and `maxmemory`; 0 if unlimited or unknown.
    pub memory_bytes: (u64, u64),
    /// Connected clients, and `maxclients`; 0 if unknown.
    pub clients: (u64, u64),
    /// The append-only file, if it is on.
    pub append_only: Option<AppendOnlyFile>,
    /// Whether the last snapshot succeeded, if there was one.
    pub last_snapshot_ok: bool,
    /// How long the last fork blocked the server.
    pub last_fork: Duration,
    /// The connected replicas.
    pub replicas: Vec<ReplicaState>,
    /// Latency spikes, if the server records them (`latency-monitor-threshold`) and permits the question.
    pub spikes: Vec<LatencySpike>,
}

/// The state of the append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendOnlyFile {
    /// Whether the last write succeeded. While it fails, the server refuses writes.
    pub last_write_ok: bool,
    /// Whether the last rewrite succeeded. While it fails, the file grows.
    pub last_rewrite_ok: bool,
    /// Writes delayed by a slow fsync since the start.
    pub delayed_fsyncs: u64,
}

/// The state of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// `host:port`.
    pub address: String,
    /// `online`, or the stage of its initial synchronization.
    pub state: String,
    /// Seconds since its last acknowledgement.
    pub silent_s: u64,
    /// Unacknowledged bytes of the replication stream.
    pub behind_bytes: u64,
}

/// A latency spike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencySpike {
    /// The server's name of the event, such as `aof-fsync-always`.
    pub event: String,
    /// The longest recorded.
    pub longest: Duration,
}

/// Inspects the server. Only `INFO` must be permitted; whatever else is refused stays empty.
pub async fn inspect_server(connection: &mut MultiplexedConnection) -> RedisResult<ServerState> {
    let info: String = redis::cmd("INFO").query_async(connection).await?;
    let mut latency = redis::cmd("LATENCY");
    // The question may be forbidden, or an older server may reply in another form.
    let spikes: RedisResult<Vec<Vec<Value>>> = latency.arg("LATEST").query_async(connection).await;
    Ok(ServerState {
        spikes: spikes
            .unwrap_or_default()
            .iter()
            .filter_map(|s| spike(s))
            .collect(),
        ..ServerState::of(&info)
    })
}

/// Event, time of the latest, duration of the latest and of the longest in milliseconds.
fn spike(reply: &[Value]) -> Option<LatencySpike> {
    let [event, _, _, longest, ..] = reply else {
        return None;
    };
    let event: String = redis::from_redis_value_ref(event).ok()?;
    let longest = Duration::from_millis(redis::from_redis_value_ref(longest).ok()?);
    Some(LatencySpike { event, longest })
}

impl ServerState {
    /// Parses `INFO`. A missing field counts as healthy.
    fn of(info: &str) -> Self {
        let info = parse_info(info);
        let field = |name: &str| info.get(name).copied().unwrap_or_default();
        let number = |name: &str| field(name).parse::<u64>().unwrap_or(0);
        let ok = |name: &str| matches!(field(name), "ok" | "");
        Self {
            uptime: Duration::from_secs(number("uptime_in_seconds")),
            memory_bytes: (number("used_memory"), number("maxmemory")),
            clients: (number("connected_clients"), number("maxclients")),
            append_only: (field("aof_enabled") == "1").then(|| AppendOnlyFile {
                last_write_ok: ok("aof_last_write_status"),
                last_rewrite_ok: ok("aof_last_bgrewrite_status"),
                delayed_fsyncs: number("aof_delayed_fsync"),
            }),
            last_snapshot_ok: ok("rdb_last_bgsave_status"),
            last_fork: Duration::from_micros(number("latest_fork_usec")),
            replicas: replicas(&info),
            spikes: Vec::new(),
        }
    }
}

fn replicas(info: &HashMap<&str, &str>) -> Vec<ReplicaState> {
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    let written = number(info.get("master_repl_offset").copied().unwrap_or_default());
    let mut lines: Vec<(u32, &str)> = info
        .iter()
        .filter_map(|(name, reply)| Some((name.strip_prefix("slave")?.parse().ok()?, *reply)))
        .collect();
    lines.sort_unstable();
    lines
        .into_iter()
        .map(|(_, reply)| {
            let fields = fields_of(reply);
            let of = |name: &str| fields.get(name).copied().unwrap_or_default();
            ReplicaState {
                address: format!("{}:{}", of("ip"), of("port")),
                state: of("state").to_owned(),
                silent_s: number(of("lag")),
                behind_bytes: written.saturating_sub(number(of("offset"))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_fields_count_as_healthy() {
        let state = ServerState::of("redis_version:7.0.15\r\nused_memory:1000\r\n");
        assert_eq!(state.memory_bytes, (1000, 0));
        assert!(state.last_snapshot_ok);
        assert_eq!((state.append_only, state.replicas.len()), (None, 0));
    }

    #[test]
    fn failed_persistence_and_slow_forks_are_read() {
        let state = ServerState::of(
            "aof_enabled:1\r\naof_last_write_status:err\r\naof_last_bgrewrite_status:ok\r\n\
             aof_delayed_fsync:7\r\nrdb_last_bgsave_status:err\r\nlatest_fork_usec:1500000\r\n\
             uptime_in_seconds:60\r\nconnected_clients:3\r\nmaxclients:10000\r\n",
        );
        let append_only = AppendOnlyFile {
            last_write_ok: false,
            last_rewrite_ok: true,
            delayed_fsyncs: 7,
        };
        assert_eq!(state.append_only, Some(append_only));
        assert!(!state.last_snapshot_ok);
        assert_eq!(state.last_fork, Duration::from_millis(1500));
        assert_eq!(state.clients, (3, 10_000));
    }

    #[test]
    fn replicas_are_read_in_order_with_their_lag() {
        let state = ServerState::of(
            "connected_slaves:2\r\n\
             slave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=0,lag=0\r\n\
             slave0:ip=10.0.0.2,port=6380,state=online,offset=900,lag=1\r\n\
             master_repl_offset:1000\r\n",
        );
        let replica = |address: &str, state: &str, silent_s, behind_bytes| ReplicaState {
            address: address.to_owned(),
            state: state.to_owned(),
            silent_s,
            behind_bytes,
        };
        assert_eq!(
            state.replicas,
            [
                replica("10.0.0.2:6380", "online", 1, 100),
                replica("10.0.0.3:6379", "wait_bgsave", 0, 1000)
            ]
        );
    }

    #[test]
    fn a_spike_is_read_and_a_shorter_reply_is_ignored() {
        let reply = [
            Value::BulkString(b"fork".to_vec()),
            Value::Int(1_790_000_000),
            Value::Int(20),
            Value::Int(2500),
        ];
        let spike_read = spike(&reply).unwrap();
        assert_eq!(spike_read.event, "fork");
        assert_eq!(spike_read.longest, Duration::from_millis(2500));
        assert_eq!(spike(&reply[..2]), None);
    }
}
