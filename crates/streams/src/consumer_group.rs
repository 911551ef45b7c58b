//! The consumer group on the four lanes: every command that a worker sends to Redis.

mod entries;
mod owner;
mod reader;
mod reclaim;
mod repair;
mod reply;
mod scripts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::{CONSUMER_GROUP, LANES, Lane};
use harkara_settings::RedisSettings;
use harkara_storage::commit::CommittedBatch;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamInfoGroupsReply;
use redis::{Cmd, RedisResult, Value, cmd};
use tokio::sync::SetOnce;

use crate::deployment::{Deployment, ForeignStreams, is_out_of_memory};
use crate::group_error::GroupError;
use crate::pool::{Pool, checked_pool};
use crate::pooled::ask_over;
pub use entries::{ClaimedEntry, PendingEntry};
pub use reader::{ReadBounds, Reader};
pub use reclaim::{Claimed, Idle};
pub use repair::Repaired;

/// The second greatest id, after which nothing is pending. (Redis treats the greatest as `>`, which would
/// claim new entries.)
const ID_AFTER_ALL: &str = "18446744073709551615-18446744073709551614";

/// Maximum pending entries in one reply.
const PENDING_PER_COMMAND: usize = 500;

/// Maximum entries handed back in one round trip.
const HANDED_BACK_PER_PIPELINE: usize = 500;

/// The group as one consumer uses it. Everything but reading uses the pool.
pub struct Group {
    /// Its connections lead to streams that were this deployment's when they were opened.
    pool: Pool,
    deployment: Deployment,
    /// Set once the streams were found to be another deployment's.
    foreign: Arc<SetOnce<ForeignStreams>>,
    keys: [String; LANES],
    consumer: String,
}

impl Group {
    /// The group of a deployment's lanes, used under the name `consumer`.
    #[must_use]
    pub fn new(redis: &RedisSettings, deployment: Deployment, consumer: String) -> Self {
        let foreign = Arc::default();
        Self {
            pool: checked_pool(redis, owner::check_of(&deployment, &foreign)),
            keys: deployment.keys().streams(),
            deployment,
            foreign,
            consumer,
        }
    }

    /// Creates missing streams and groups, unless the streams are another deployment's. A group starts at the
    /// first entry, so that entries appended before it existed are read too. Returns how many groups it created.
    pub async fn ensure(&self) -> Result<u64, GroupError> {
        self.check_owner().await?;
        self.over("XGROUP CREATE", async |connection| {
            let mut created = 0;
            for key in &self.keys {
                let mut create = cmd("XGROUP");
                create.arg("CREATE").arg(key).arg(CONSUMER_GROUP);
                create.arg("0").arg("MKSTREAM");
                match create.query_async::<()>(connection).await {
                    Ok(()) => created += 1,
                    Err(error) if error.code() == Some("BUSYGROUP") => {}
                    Err(error) if is_out_of_memory(&error) && exists(connection, key).await? => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(created)
        })
        .await
    }

    /// Returns this consumer's own pending entries: all, or those from one id to another.
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
            pending.arg(self.key(lane)).arg(CONSUMER_GROUP);
            pending.arg(&from).arg(&to);
            pending.arg(PENDING_PER_COMMAND).arg(&self.consumer);
            let page: Vec<(String, String, u64, u64)> = self.ask(&pending, "XPENDING").await?;
            let is_last = page.len() < PENDING_PER_COMMAND;
            if let Some((last, ..)) = page.last() {
                from = format!("({last}");
            }
            own.extend(page.into_iter().filter_map(|(id, _, _, claims)| {
                let id = EntryId::parse(&id)?;
                Some(PendingEntry { id, claims })
            }));
            if is_last {
                return Ok(own);
            }
        }
    }

    /// Resets the idle time of entries that this consumer has claimed.
    pub async fn renew(&self, lane: Lane, ids: &[EntryId]) -> Result<(), GroupError> {
        let mut claim = self.xclaim(lane, ids);
        claim.arg("JUSTID");
        let _: Value = self.ask(&claim, "XCLAIM JUSTID").await?;
        Ok(())
    }

    /// Resets this consumer's idle time and changes nothing else: it asks for its own pending entries after the
    /// last possible id. Redis before 7.2 counts a consumer as active only when it receives entries or asks
    /// for its pending ones, not while it waits for new ones.
    pub async fn heartbeat(&self) -> Result<(), GroupError> {
        let mut read = self.xreadgroup(1);
        read.arg("STREAMS").arg(self.key(Lane::Critical));
        read.arg(ID_AFTER_ALL);
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

    /// Acknowledges entries and deletes those that were pending from their streams, in one step for all lanes.
    ///
    /// An entry that is not pending was removed by another worker, or is not the committed one: a Redis that
    /// lost its latest data may assign the same ids again.
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

    /// Makes entries look idle for `idle`, so that another worker reclaims them immediately. The last claim of
    /// `untried` entries does not count.
    pub async fn hand_back(
        &self,
        lane: Lane,
        pending: &[PendingEntry],
        untried: impl Fn(EntryRef) -> bool,
        idle: Duration,
    ) -> Result<(), GroupError> {
        for pending in pending.chunks(HANDED_BACK_PER_PIPELINE) {
            let mut pipeline = redis::pipe();
            for entry in pending {
                let uncounted = u64::from(untried(EntryRef { lane, id: entry.id }));
                let mut claim = self.xclaim(lane, &[entry.id]);
                claim.arg("IDLE").arg(millis(idle));
                claim
                    .arg("RETRYCOUNT")
                    .arg(entry.claims.saturating_sub(uncounted));
                claim.arg("JUSTID");
                pipeline.add_command(claim).ignore();
            }
            self.over("XCLAIM RETRYCOUNT", async |connection| {
                pipeline.query_async::<()>(connection).await
            })
            .await?;
        }
        Ok(())
    }

    /// Removes other consumers that have nothing pending and were idle for `idle`; returns how many. Redis
    /// checks and removes in one step, so no consumer loses an entry that it claims concurrently.
    pub async fn retire_idle_consumers(&self, idle: Duration) -> Result<u64, GroupError> {
        self.over("retire idle consumers", async |connection| {
            let mut retired = 0;
            for key in &self.keys {
                let mut retire = scripts::RETIRE_IDLE.key(key);
                retire
                    .arg(CONSUMER_GROUP)
                    .arg(&self.consumer)
                    .arg(millis(idle));
                retired += retire.invoke_async::<u64>(connection).await?;
            }
            Ok(retired)
        })
        .await
    }

    /// Removes this consumer from the lanes on which it has nothing pending.
    pub async fn deregister(&self) -> Result<(), GroupError> {
        self.over("deregister", async |connection| {
            for key in &self.keys {
                let mut deregister = scripts::DEREGISTER.key(key);
                deregister.arg(CONSUMER_GROUP).arg(&self.consumer);
                let _: u64 = deregister.invoke_async(connection).await?;
            }
            Ok(())
        })
        .await
    }

    fn xreadgroup(&self, entries_max: usize) -> Cmd {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(CONSUMER_GROUP).arg(&self.consumer);
        read.arg("COUNT").arg(entries_max);
        read
    }

    fn xclaim(&self, lane: Lane, ids: &[EntryId]) -> Cmd {
        let mut claim = self.for_consumer("XCLAIM", lane);
        claim.arg(0);
        for id in ids {
            claim.arg(id.to_string());
        }
        claim
    }

    fn for_consumer(&self, command: &str, lane: Lane) -> Cmd {
        let mut command = cmd(command);
        command
            .arg(self.key(lane))
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer);
        command
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
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, GroupError> {
        match ask_over(&self.pool, ask).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.known_owner()?;
                Err(GroupError::pooled(operation)(error))
            }
        }
    }

    fn key(&self, lane: Lane) -> &str {
        &self.keys[lane.index()]
    }

    fn lane(&self, key: &str) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| self.key(*lane) == key)
    }
}

/// Whether a lane has our group. (Redis that is out of memory does not say so to who wants to create it.)
async fn exists(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<bool> {
    let mut info = cmd("XINFO");
    info.arg("GROUPS").arg(key);
    let groups: StreamInfoGroupsReply = info.query_async(connection).await?;
    Ok(groups
        .groups
        .iter()
        .any(|group| group.name == CONSUMER_GROUP))
}

fn claimed_entries(lane: Lane, entries: reply::Entries) -> impl Iterator<Item = ClaimedEntry> {
    entries.into_iter().map(move |(id, fields)| ClaimedEntry {
        entry: EntryRef { lane, id },
        fields,
        claimed_at: Instant::now(),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
