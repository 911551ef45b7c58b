//! The private Redis. Everything happens within the one logical database of its URL.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use harkara_core::entry;
use harkara_core::ids::EventId;
use harkara_core::lane::{LANES, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_streams::inspection::inspect_lane;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, cmd, pipe};

use crate::figures::{count, number};
use crate::process::Pid;

/// Entries that are read together.
const ENTRIES_PER_READ: usize = 1_000;

/// Keys that are measured together.
const KEYS_PER_SCAN: usize = 1_000;

/// Longest wait for a reply: a flush of gigabytes takes its time, and so do thousands of entries in one pipeline.
const RESPONSE_BOUND: Duration = Duration::from_mins(1);

/// The server, and a connection to inspect it.
pub(crate) struct RedisServer {
    pub(crate) url: String,
    pub(crate) pid: Pid,
    connection: MultiplexedConnection,
}

/// When Redis writes to the disk what it confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum AppendFsync {
    Everysec,
    Always,
}

impl RedisServer {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let mut redis = Self {
            url: url.to_owned(),
            pid: 0,
            connection: connect(url).await?,
        };
        let pid = redis.info("process_id").await?;
        redis.pid = pid
            .parse()
            .context("Redis does not report its process id")?;
        Ok(redis)
    }

    /// Another connection.
    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection> {
        connect(&self.url).await
    }

    /// Empties the database.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.ask(cmd("FLUSHDB").arg("SYNC")).await
    }

    pub(crate) async fn set_appendfsync(&self, policy: AppendFsync) -> Result<()> {
        self.ask(cmd("CONFIG").arg(&["SET", "appendfsync", &policy.to_string()]))
            .await
    }

    /// The number of entries in all lanes.
    pub(crate) async fn n_entries(&self) -> Result<usize> {
        let mut pipeline = pipe();
        for lane in Lane::ALL {
            pipeline.cmd("XLEN").arg(stream_key(lane));
        }
        let lengths: [usize; LANES] = pipeline
            .query_async(&mut self.connection.clone())
            .await
            .context("cannot read the lengths of the streams")?;
        Ok(lengths.iter().sum())
    }

    /// The number of pending entries in all lanes.
    pub(crate) async fn n_pending(&self) -> Result<u64> {
        let mut n_pending = 0;
        for lane in Lane::ALL {
            let lane =
                inspect_lane(&mut self.connection.clone(), &RedisKeys::default(), lane).await;
            let group = lane.context("cannot read the pending entries")?.group;
            n_pending += group.map_or(0, |group| group.pending);
        }
        Ok(n_pending)
    }

    /// Passes the event id of every entry in all lanes to `take`.
    pub(crate) async fn event_ids(&self, mut take: impl FnMut(EventId)) -> Result<()> {
        for lane in Lane::ALL {
            let mut from = "-".to_owned();
            loop {
                let mut range = cmd("XRANGE");
                range.arg(&[&stream_key(lane), &from, "+"]);
                range.arg("COUNT").arg(ENTRIES_PER_READ);
                let entries: Vec<(String, Vec<(Bytes, Bytes)>)> = self.ask(&range).await?;
                let Some((last, _)) = entries.last() else {
                    break;
                };
                from = format!("({last}");
                for (entry, fields) in &entries {
                    let head = entry::find(fields, entry::field::HEAD);
                    let event_id = head.and_then(|head| entry::event_id(head));
                    take(event_id.with_context(|| format!("entry {entry} has no event id"))?);
                }
            }
        }
        Ok(())
    }

    /// The memory that the keys of the database take for each of `events`, in bytes, by `MEMORY USAGE`.
    pub(crate) async fn bytes_per_event(&self, events: usize) -> Result<f64> {
        let mut sum = 0;
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("COUNT").arg(KEYS_PER_SCAN);
            let keys: Vec<Bytes>;
            (cursor, keys) = self.ask(&scan).await?;
            let mut usages = pipe();
            for key in &keys {
                let usage = usages.cmd("MEMORY").arg("USAGE").arg(key.as_ref());
                usage.arg("SAMPLES").arg(0);
            }
            let bytes: Vec<Option<u64>> = usages
                .query_async(&mut self.connection.clone())
                .await
                .context("cannot read the memory of the keys")?;
            sum += bytes.into_iter().flatten().sum::<u64>();
            if cursor == 0 {
                return Ok(number(sum) / count(events.max(1)));
            }
        }
    }

    /// The number that a command returns for a key.
    pub(crate) async fn number(&self, command: &str, key: &str) -> Result<usize> {
        self.ask(cmd(command).arg(key)).await
    }

    /// A field of `INFO`; empty if there is none of that name.
    pub(crate) async fn info(&self, field: &str) -> Result<String> {
        let text: String = self.ask(&cmd("INFO")).await?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.unwrap_or_default().to_owned())
    }

    /// A setting of the server; empty if it has none of that name.
    pub(crate) async fn setting(&self, name: &str) -> Result<String> {
        let pair: Vec<String> = self.ask(cmd("CONFIG").arg(&["GET", name])).await?;
        Ok(pair.into_iter().nth(1).unwrap_or_default())
    }

    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        command
            .query_async(&mut self.connection.clone())
            .await
            .context("Redis refused a command of the benchmark")
    }
}

/// The key of a lane's stream.
pub(crate) fn stream_key(lane: Lane) -> String {
    RedisKeys::default().stream(lane)
}

async fn connect(url: &str) -> Result<MultiplexedConnection> {
    let client = Client::open(url).context("the URL of Redis is invalid")?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_BOUND));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .context("Redis does not answer")
}
