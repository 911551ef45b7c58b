//! The private Redis. Everything happens within the one logical database of its URL.

use std::fmt;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use harkara_core::entry;
use harkara_core::ids::EventId;
use harkara_core::lane::{CONSUMER_GROUP, LANES, Lane};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value, cmd, pipe};

use crate::process::Pid;

/// Entries that are read at once.
const ENTRIES_AT_ONCE: usize = 1_000;

/// Keys that are looked at at once.
const KEYS_AT_ONCE: usize = 1_000;

/// What Redis calls the error of a stream that does not exist or lacks the group.
const NO_GROUP: &str = "NOGROUP";

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
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connection = connection(url).await?;
        let pid = info(&connection, "process_id").await?;
        Ok(Self {
            url: url.to_owned(),
            pid: pid.parse().context("Redis does not tell its process")?,
            connection,
        })
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
            let summary: redis::RedisResult<Vec<Value>> = cmd("XPENDING")
                .arg(&[key.as_str(), CONSUMER_GROUP])
                .query_async(&mut self.connection.clone())
                .await;
            let summary = match summary {
                // Nobody can have claimed anything where there is no stream, or no group of it.
                Err(error) if error.code() == Some(NO_GROUP) => continue,
                summary => summary.context("Redis does not tell the pending entries")?,
            };
            let Some(Value::Int(pending)) = summary.first() else {
                bail!("XPENDING gave {summary:?}, which does not begin with a number");
            };
            n_pending += usize::try_from(*pending).context("XPENDING gave a negative number")?;
        }
        Ok(n_pending)
    }

    /// The ids of the events in the entries of all lanes, given one after another.
    pub(crate) async fn event_ids(&self, mut take: impl FnMut(EventId)) -> Result<()> {
        for key in stream_keys() {
            let mut from = "-".to_owned();
            loop {
                let slice: Vec<(String, Vec<(Bytes, Bytes)>)> = self
                    .ask(
                        cmd("XRANGE")
                            .arg(&[&key, &from, "+"])
                            .arg("COUNT")
                            .arg(ENTRIES_AT_ONCE),
                    )
                    .await?;
                let Some((last, _)) = slice.last() else { break };
                from = format!("({last}");
                for (entry, fields) in &slice {
                    let head = entry::find(fields, entry::field::HEAD);
                    let event_id = head.and_then(|head| entry::event_id(head));
                    take(event_id.with_context(|| format!("entry {entry} has no event id"))?);
                }
            }
        }
        Ok(())
    }

    /// What the keys of the database take of memory, in bytes, as `MEMORY USAGE` tells it of each.
    pub(crate) async fn bytes_of_keys(&self) -> Result<u64> {
        let mut sum = 0;
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<Bytes>) = self
                .ask(cmd("SCAN").arg(cursor).arg("COUNT").arg(KEYS_AT_ONCE))
                .await?;
            let mut pipeline = pipe();
            for key in &keys {
                let usage = pipeline.cmd("MEMORY").arg("USAGE").arg(key.as_ref());
                usage.arg("SAMPLES").arg(0);
            }
            let bytes: Vec<Option<u64>> = pipeline
                .query_async(&mut self.connection.clone())
                .await
                .context("Redis does not tell the memory of its keys")?;
            sum += bytes.into_iter().flatten().sum::<u64>();
            if next == 0 {
                return Ok(sum);
            }
            cursor = next;
        }
    }

    /// A number that a command gives; 0 where it gives none.
    pub(crate) async fn number(&self, words: &[&str]) -> Result<usize> {
        let (name, arguments) = words.split_first().context("a command has a name")?;
        let number: Option<usize> = self.ask(cmd(name).arg(arguments)).await?;
        Ok(number.unwrap_or_default())
    }

    /// A field of `INFO`.
    pub(crate) async fn info(&self, field: &str) -> Result<String> {
        info(&self.connection, field).await
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

/// A field of `INFO`; empty where there is none of that name.
async fn info(connection: &MultiplexedConnection, field: &str) -> Result<String> {
    let text: String = cmd("INFO")
        .query_async(&mut connection.clone())
        .await
        .context("Redis does not tell about itself")?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value.unwrap_or_default().to_owned())
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
