//! What the server tells of its memory, its disk, its replicas and its clients.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::server_check::{fields_of, parse_info};

/// How the server fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// How long it runs.
    pub uptime: Duration,
    /// Bytes in use, and the most that it may use; 0 is no bound, or one that it does not tell.
    pub memory_bytes: (u64, u64),
    /// Clients connected, and the most that may be; 0 where it does not tell.
    pub clients: (u64, u64),
    /// The append-only file, where it is on.
    pub append_only: Option<AppendOnlyFile>,
    /// Whether the last snapshot could be written, or there was none.
    pub last_snapshot_ok: bool,
    /// How long the last fork stopped everything.
    pub last_fork: Duration,
    /// Every replica that is connected.
    pub replicas: Vec<ReplicaState>,
    /// What was slow, where the server measures it (`latency-monitor-threshold`) and lets us ask.
    pub spikes: Vec<LatencySpike>,
}

/// How the append-only file fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendOnlyFile {
    /// Whether the last write succeeded. While it fails, the server takes no writes.
    pub last_write_ok: bool,
    /// Whether the last rewrite succeeded. While it fails, the file grows.
    pub last_rewrite_ok: bool,
    /// Times since the start that an fsync took so long that a write was held back for it.
    pub delayed_fsyncs: u64,
}

/// How a replica follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// `host:port`.
    pub address: String,
    /// `online`, or how far its first copy has come.
    pub state: String,
    /// Seconds since it was heard of.
    pub silent_s: u64,
    /// Bytes of the replication stream that it has not confirmed.
    pub behind_bytes: u64,
}

/// Something that was slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencySpike {
    /// What, in the server's word, such as `aof-fsync-always`.
    pub event: String,
    /// The longest that it took since the server counts.
    pub longest: Duration,
}

/// Asks the server. What it does not let us ask is left empty; only `INFO` must be allowed.
pub async fn inspect_server(connection: &mut MultiplexedConnection) -> RedisResult<ServerState> {
    let info: String = redis::cmd("INFO").query_async(connection).await?;
    let mut latency = redis::cmd("LATENCY");
    // Without the right to ask, or an older server's other answer, nothing is known of spikes.
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

/// Event, time of the latest, how long the latest and the longest took, in milliseconds.
fn spike(told: &[Value]) -> Option<LatencySpike> {
    let [event, _, _, longest, ..] = told else {
        return None;
    };
    let event: String = redis::from_redis_value_ref(event).ok()?;
    let longest = Duration::from_millis(redis::from_redis_value_ref(longest).ok()?);
    Some(LatencySpike { event, longest })
}

impl ServerState {
    /// Reads what `INFO` tells. A field that is not told counts as sound.
    fn of(info: &str) -> Self {
        let info = parse_info(info);
        let told = |name: &str| info.get(name).copied().unwrap_or_default();
        let number = |name: &str| told(name).parse::<u64>().unwrap_or(0);
        let ok = |name: &str| matches!(told(name), "ok" | "");
        Self {
            uptime: Duration::from_secs(number("uptime_in_seconds")),
            memory_bytes: (number("used_memory"), number("maxmemory")),
            clients: (number("connected_clients"), number("maxclients")),
            append_only: (told("aof_enabled") == "1").then(|| AppendOnlyFile {
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
        .filter_map(|(name, told)| Some((name.strip_prefix("slave")?.parse().ok()?, *told)))
        .collect();
    lines.sort_unstable();
    lines
        .into_iter()
        .map(|(_, told)| {
            let fields = fields_of(told);
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
    fn a_server_that_tells_little_is_taken_for_sound() {
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
    fn replicas_are_read_in_their_order_with_what_they_lack() {
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
    fn a_spike_is_read_and_a_shorter_answer_is_left_out() {
        let told = [
            Value::BulkString(b"fork".to_vec()),
            Value::Int(1_790_000_000),
            Value::Int(20),
            Value::Int(2500),
        ];
        let spike_read = spike(&told).unwrap();
        assert_eq!(spike_read.event, "fork");
        assert_eq!(spike_read.longest, Duration::from_millis(2500));
        assert_eq!(spike(&told[..2]), None);
    }
}
