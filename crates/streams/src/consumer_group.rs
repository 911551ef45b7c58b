//! The consumer group on the four lanes: every command that a worker sends to Redis.

mod reply;
mod scripts;

use std::time::{Duration, Instant};

use crate::connect::connect_blocking;
use crate::{Connection, Pool, ask_over};
use bytes::Bytes;
use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::{CONSUMER_GROUP, LANES, Lane};
use harkara_settings::RedisSettings;
use harkara_storage::commit::CommittedBatch;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value, cmd};

use crate::group_error::GroupError;

/// The greatest id but one, after which nothing is pending in any stream of ours. To Redis the greatest is another
/// way to say `>`, which would claim.
const AFTER_THE_LAST: &str = "18446744073709551615-18446744073709551614";

/// Most pending entries in one answer.
const PENDING_PER_COMMAND: usize = 500;

/// The group as one consumer sees it. Cheap to share; everything but reading goes over the pool.
pub struct Group {
    pool: Pool,
    keys: [String; LANES],
    consumer: String,
}

/// The connection that reads new entries. It has no other user, because a blocking read holds up every
/// command behind it.
pub struct Reader(MultiplexedConnection);

impl Reader {
    /// Connects for reads that wait up to `read_wait`.
    pub async fn connect(
        settings: &RedisSettings,
        read_wait: Duration,
    ) -> Result<Self, GroupError> {
        connect_blocking(settings, read_wait)
            .await
            .map(Self)
            .map_err(GroupError::of("connect"))
    }
}

/// An entry that this consumer has claimed.
#[derive(Debug)]
pub struct ClaimedEntry {
    /// The entry.
    pub entry: EntryRef,
    /// Its fields in order: name and value.
    pub fields: Vec<(Bytes, Bytes)>,
    /// When this consumer received it.
    pub claimed_at: Instant,
}

impl ClaimedEntry {
    /// The size of its fields.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}

/// A pending entry, and how often it was claimed.
#[derive(Clone, Copy, Debug)]
pub struct PendingEntry {
    /// The entry's id.
    pub id: EntryId,
    /// How often it was claimed.
    pub claims: u64,
}

impl Group {
    /// The group of a partition's lanes, used under the name `consumer`.
    #[must_use]
    pub fn new(pool: Pool, partition: u16, consumer: String) -> Self {
        Self {
            pool,
            keys: Lane::ALL.map(|lane| lane.stream_key(partition)),
            consumer,
        }
    }

    /// Creates the streams and groups that are missing, from the first entry on: what was appended
    /// before a group existed must be read too. Gives how many groups were created.
    pub async fn ensure(&self) -> Result<u64, GroupError> {
        self.over("XGROUP CREATE", async |connection| {
            let mut created = 0;
            for key in &self.keys {
                let mut create = cmd("XGROUP");
                create
                    .arg("CREATE")
                    .arg(key)
                    .arg(CONSUMER_GROUP)
                    .arg("0")
                    .arg("MKSTREAM");
                match create.query_async::<()>(connection).await {
                    Ok(()) => created += 1,
                    Err(error) if error.code() == Some("BUSYGROUP") => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(created)
        })
        .await
    }

    /// Claims up to `entries_max` new entries of each lane, waiting up to `block` for the first.
    pub async fn read(
        &self,
        reader: &mut Reader,
        lanes: &[Lane],
        entries_max: usize,
        block: Option<Duration>,
    ) -> Result<Vec<ClaimedEntry>, GroupError> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg("COUNT")
            .arg(entries_max);
        if let Some(block) = block {
            // 0 would block for ever.
            read.arg("BLOCK").arg(block.as_millis().max(1).to_string());
        }
        read.arg("STREAMS");
        for lane in lanes {
            read.arg(self.key(*lane));
        }
        for _ in lanes {
            read.arg(">");
        }
        let answer: Value = read
            .query_async(&mut reader.0)
            .await
            .map_err(GroupError::of("XREADGROUP"))?;
        let streams = reply::streams(answer).ok_or(GroupError::Unexpected {
            operation: "XREADGROUP",
        })?;
        let mut claimed = Vec::new();
        for (key, entries) in streams {
            let lane = self.lane(&key).ok_or(GroupError::Unexpected {
                operation: "XREADGROUP",
            })?;
            claimed.extend(
                entries
                    .into_iter()
                    .map(|(id, fields)| claimed_entry(lane, id, fields)),
            );
        }
        Ok(claimed)
    }

    /// Moves up to `entries_max` entries that were idle for `idle` to this consumer, without counting a claim.
    /// Returns the next cursor and the entries; the cursor `0-0` is both the start and the end.
    pub async fn reclaim_idle(
        &self,
        lane: Lane,
        idle: Duration,
        cursor: &str,
        entries_max: usize,
    ) -> Result<(String, Vec<EntryId>), GroupError> {
        let mut claim = cmd("XAUTOCLAIM");
        claim
            .arg(self.key(lane))
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(millis(idle))
            .arg(cursor);
        claim.arg("COUNT").arg(entries_max).arg("JUSTID");
        // Redis 7 adds the entries that had been deleted; it has dropped them from the pending list.
        let answer: Value = self.ask(&claim, "XAUTOCLAIM").await?;
        reply::autoclaimed(&answer).ok_or(GroupError::Unexpected {
            operation: "XAUTOCLAIM",
        })
    }

    /// Returns this consumer's own pending entries, all or those from one id to another.
    pub async fn own_pending(
        &self,
        lane: Lane,
        range: Option<(EntryId, EntryId)>,
    ) -> Result<Vec<PendingEntry>, GroupError> {
        let (mut from, to) = match range {
            None => ("-".to_owned(), "+".to_owned()),
            Some((first, last)) => (first.to_string(), last.to_string()),
        };
        let mut own = Vec::new();
        loop {
            let mut pending = cmd("XPENDING");
            pending
                .arg(self.key(lane))
                .arg(CONSUMER_GROUP)
                .arg(&from)
                .arg(&to)
                .arg(PENDING_PER_COMMAND)
                .arg(&self.consumer);
            let page: Vec<(String, String, u64, u64)> = self.ask(&pending, "XPENDING").await?;
            let Some((last, ..)) = page.last() else {
                return Ok(own);
            };
            from = format!("({last}");
            own.extend(page.into_iter().filter_map(|(id, _, _, claims)| {
                let id = EntryId::parse(&id)?;
                Some(PendingEntry { id, claims })
            }));
        }
    }

    /// Counts one more claim of pending entries and gives their fields. Entries that are no longer
    /// in the stream are missing from the answer and are dropped from the pending list.
    pub async fn claim_again(
        &self,
        lane: Lane,
        ids: &[EntryId],
    ) -> Result<Vec<ClaimedEntry>, GroupError> {
        let mut claim = cmd("XCLAIM");
        claim
            .arg(self.key(lane))
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(0);
        for id in ids {
            claim.arg(id.to_string());
        }
        let answer: Value = self.ask(&claim, "XCLAIM").await?;
        let entries = reply::entries(answer).ok_or(GroupError::Unexpected {
            operation: "XCLAIM",
        })?;
        let claimed: Vec<ClaimedEntry> = entries
            .into_iter()
            .map(|(id, fields)| claimed_entry(lane, id, fields))
            .collect();
        // Either the entry is gone from its stream, and Redis before 7 leaves its pending entry behind;
        // or it is not pending any more, because the group was created anew, and is claimed afresh. What
        // is in the stream was not committed and must stay claimable.
        let absent: Vec<String> = ids
            .iter()
            .filter(|id| !claimed.iter().any(|c| c.entry.id == **id))
            .map(ToString::to_string)
            .collect();
        if !absent.is_empty() {
            tracing::warn!(lane = %lane, entries = absent.len(), "Pending entries are no longer there to be claimed.");
            let mut forget = scripts::FORGET_DELETED.key(self.key(lane));
            forget.arg(CONSUMER_GROUP).arg(absent);
            let _forgotten: u64 = self
                .over("forget deleted entries", async |connection| {
                    forget.invoke_async(connection).await
                })
                .await?;
        }
        Ok(claimed)
    }

    /// Resets the idle time of entries that this consumer holds.
    pub async fn renew(&self, lane: Lane, ids: &[EntryId]) -> Result<(), GroupError> {
        let mut claim = cmd("XCLAIM");
        claim
            .arg(self.key(lane))
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(0);
        for id in ids {
            claim.arg(id.to_string());
        }
        claim.arg("JUSTID");
        let _: Value = self.ask(&claim, "XCLAIM JUSTID").await?;
        Ok(())
    }

    /// Lets Redis know that this consumer is at work, and changes nothing: it asks for its own pending entries
    /// after the last one that there can be. Redis before 7.2 takes note of a consumer only when it gets
    /// something, or asks for what it holds, and not while it waits for entries that do not come.
    pub async fn show_life(&self) -> Result<(), GroupError> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg("COUNT")
            .arg(1)
            .arg("STREAMS")
            .arg(self.key(Lane::Critical))
            .arg(AFTER_THE_LAST);
        let _: Value = self.ask(&read, "XREADGROUP").await?;
        Ok(())
    }

    /// Acknowledges the stream entries of a committed batch and deletes them, in one round trip. Returns how
    /// many were still pending.
    ///
    /// An uncommitted batch cannot be passed: only a confirmed commit returns a [`CommittedBatch`].
    pub async fn acknowledge(&self, committed: &CommittedBatch) -> Result<usize, GroupError> {
        self.remove_all(committed.entries()).await
    }

    /// Acknowledges entries and deletes those that were pending from their streams, all lanes in one step
    /// and one round trip. Gives how many were.
    ///
    /// An entry that is not pending has been removed by another worker, or is not the one that was
    /// committed: a Redis that lost its latest data may give the ids of what it lost a second time.
    ///
    async fn remove_all(&self, entries: &[EntryRef]) -> Result<usize, GroupError> {
        let mut remove = scripts::REMOVE_PENDING.prepare_invoke();
        remove.arg(CONSUMER_GROUP);
        for lane in Lane::ALL {
            let of_lane = entries.iter().filter(|entry| entry.lane == lane);
            let ids = of_lane.map(|entry| entry.id);
            if let Some(latest) = ids.clone().max() {
                let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
                remove.key(self.key(lane)).arg(ids.len());
                remove.arg(latest.to_string()).arg(ids);
            }
        }
        self.over("XACK", async |connection| {
            remove.invoke_async(connection).await
        })
        .await
    }

    /// Gives entries back: they look idle for `idle`, so that another worker takes them over at once. The
    /// last claim of those that are `untried` does not count.
    pub async fn hand_back(
        &self,
        lane: Lane,
        pending: &[PendingEntry],
        untried: impl Fn(EntryRef) -> bool,
        idle: Duration,
    ) -> Result<(), GroupError> {
        let mut pipeline = redis::pipe();
        for entry in pending {
            let uncounted = u64::from(untried(EntryRef { lane, id: entry.id }));
            pipeline
                .cmd("XCLAIM")
                .arg(self.key(lane))
                .arg(CONSUMER_GROUP)
                .arg(&self.consumer)
                .arg(0)
                .arg(entry.id.to_string())
                .arg("IDLE")
                .arg(millis(idle))
                .arg("RETRYCOUNT")
                .arg(entry.claims.saturating_sub(uncounted))
                .arg("JUSTID")
                .ignore();
        }
        self.over("XCLAIM RETRYCOUNT", async |connection| {
            pipeline.query_async(connection).await
        })
        .await
    }

    /// Removes other consumers that have nothing pending and were idle for `idle`. Checking and
    /// removing is one step in Redis, so no consumer loses an entry that it claims meanwhile.
    pub async fn retire_idle_consumers(&self, idle: Duration) -> Result<u64, GroupError> {
        self.over("retire idle consumers", async |connection| {
            let mut retired = 0;
            for key in &self.keys {
                let removed: u64 = scripts::RETIRE_IDLE
                    .key(key)
                    .arg(CONSUMER_GROUP)
                    .arg(&self.consumer)
                    .arg(millis(idle))
                    .invoke_async(connection)
                    .await?;
                retired += removed;
            }
            Ok(retired)
        })
        .await
    }

    /// Removes this consumer from the lanes on which it has nothing pending.
    pub async fn deregister(&self) -> Result<(), GroupError> {
        self.over("deregister", async |connection| {
            for key in &self.keys {
                let _: u64 = scripts::DEREGISTER
                    .key(key)
                    .arg(CONSUMER_GROUP)
                    .arg(&self.consumer)
                    .invoke_async(connection)
                    .await?;
            }
            Ok(())
        })
        .await
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        command: &Cmd,
        operation: &'static str,
    ) -> Result<T, GroupError> {
        self.over(operation, async |connection| {
            command.query_async(connection).await
        })
        .await
    }

    async fn over<T>(
        &self,
        operation: &'static str,
        ask: impl AsyncFnOnce(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, GroupError> {
        ask_over(&self.pool, ask)
            .await
            .map_err(GroupError::pooled(operation))
    }

    fn key(&self, lane: Lane) -> &str {
        &self.keys[lane.index()]
    }

    fn lane(&self, key: &str) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| self.key(*lane) == key)
    }
}

fn claimed_entry(lane: Lane, id: EntryId, fields: Vec<(Bytes, Bytes)>) -> ClaimedEntry {
    ClaimedEntry {
        entry: EntryRef { lane, id },
        fields,
        claimed_at: Instant::now(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
