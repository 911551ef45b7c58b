//! The private Redis. Everything happens within the one logical database of its URL.

use std::fmt;

use anyhow::{Context, Result};
use harkara_core::lane::{CONSUMER_GROUP, LANES, Lane};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value, cmd, pipe};

use crate::process::Pid;

/// The partition that everything is measured on.
const PARTITION: u16 = 0;

/// The server, and a connection for looking into it.
pub(crate) struct Redis {
    pub(crate) url: String,
    pub(crate) pid: Pid,
    connection: MultiplexedConnection,
}

/// When Redis has written what it confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendFsync {
    Everysec,
    Always,
}

impl fmt::Display for AppendFsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everysec => "everysec",
            Self::Always => "always",
        })
    }
}

impl Redis {
    pub(crate) async fn connect(url: &str, pid: Option<Pid>) -> Result<Self> {
        let connection = connection(url).await?;
        let mut server = Self {
            url: url.to_owned(),
            pid: 0,
            connection,
        };
        server.pid = match pid {
            Some(pid) => pid,
            None => server
                .info("process_id")
                .await?
                .parse()
                .context("Redis does not tell its process")?,
        };
        Ok(server)
    }

    /// A connection of one's own.
    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection> {
        connection(&self.url).await
    }

    /// Empties the database.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.ask(cmd("FLUSHDB").arg("SYNC")).await
    }

    pub(crate) async fn set_appendfsync(&self, policy: AppendFsync) -> Result<()> {
        self.ask(cmd("CONFIG").arg(&["SET", "appendfsync", &policy.to_string()]))
            .await
    }

    /// How many entries all lanes hold.
    pub(crate) async fn n_entries(&self) -> Result<usize> {
        let mut pipeline = pipe();
        for key in stream_keys() {
            pipeline.cmd("XLEN").arg(key);
        }
        let lengths: [usize; LANES] = pipeline
            .query_async(&mut self.connection.clone())
            .await
            .context("Redis does not tell the length of the streams")?;
        Ok(lengths.iter().sum())
    }

    /// How many entries of all lanes are claimed and not acknowledged.
    pub(crate) async fn n_pending(&self) -> Result<usize> {
        let mut n_pending = 0;
        for key in stream_keys() {
            let groups: Vec<Vec<Value>> =
                match self.ask::<Value>(cmd("XINFO").arg(&["GROUPS", &key])).await {
                    Ok(groups) => FromRedisValue::from_redis_value(groups)
                        .context("the groups of a stream cannot be read")?,
                    // Without the stream there is no group.
                    Err(_) => continue,
                };
            if groups.is_empty() {
                continue;
            }
            let summary: Vec<Value> = self
                .ask(cmd("XPENDING").arg(&[key.as_str(), CONSUMER_GROUP]))
                .await?;
            if let Some(Value::Int(pending)) = summary.first() {
                n_pending += usize::try_from(*pending).unwrap_or_default();
            }
        }
        Ok(n_pending)
    }

    /// What the streams take of memory, in bytes.
    pub(crate) async fn bytes_of_streams(&self) -> Result<u64> {
        let mut sum = 0;
        for key in stream_keys() {
            let bytes: Option<u64> = self
                .ask(cmd("MEMORY").arg(&["USAGE", &key, "SAMPLES", "0"]))
                .await?;
            sum += bytes.unwrap_or_default();
        }
        Ok(sum)
    }

    /// What all data of the server takes of memory, in bytes.
    pub(crate) async fn used_memory(&self) -> Result<u64> {
        let used = self.info("used_memory_dataset").await?;
        used.parse().context("Redis does not tell its memory")
    }

    /// A number that a command gives; 0 where it gives none.
    pub(crate) async fn number(&self, words: &[&str]) -> Result<usize> {
        let (name, arguments) = words.split_first().context("a command has a name")?;
        let number: Option<usize> = self.ask(cmd(name).arg(arguments)).await?;
        Ok(number.unwrap_or_default())
    }

    /// A field of `INFO`.
    pub(crate) async fn info(&self, field: &str) -> Result<String> {
        let text: String = self.ask(&mut cmd("INFO")).await?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.unwrap_or_default().to_owned())
    }

    /// A setting of the server; empty where it may not be told.
    pub(crate) async fn setting(&self, name: &str) -> Result<String> {
        let pair: Vec<String> = self.ask(cmd("CONFIG").arg(&["GET", name])).await?;
        Ok(pair.into_iter().nth(1).unwrap_or_default())
    }

    async fn ask<T: FromRedisValue>(&self, command: &mut redis::Cmd) -> Result<T> {
        command
            .query_async(&mut self.connection.clone())
            .await
            .context("Redis refused a command of the benchmark")
    }
}

fn stream_keys() -> [String; LANES] {
    Lane::ALL.map(|lane| lane.stream_key(PARTITION))
}

/// The key of a lane's stream.
pub(crate) fn stream_key(lane: Lane) -> String {
    lane.stream_key(PARTITION)
}

async fn connection(url: &str) -> Result<MultiplexedConnection> {
    let client = redis::Client::open(url).context("the URL of Redis is faulty")?;
    // A flush of gigabytes takes its time, and so do thousands of entries in one pipeline.
    let config = redis::AsyncConnectionConfig::new()
        .set_response_timeout(Some(std::time::Duration::from_mins(1)));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .context("Redis does not answer")
}
