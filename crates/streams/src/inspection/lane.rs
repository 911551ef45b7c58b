//! A lane's stream, its consumer group and its consumers.

use std::collections::HashMap;
use std::time::Duration;

use harkara_core::entry::EntryId;
use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use redis::aio::MultiplexedConnection;
use redis::streams::{
    StreamInfoConsumer, StreamInfoConsumersReply, StreamInfoGroup, StreamInfoGroupsReply,
};
use redis::{FromRedisValue, RedisError, RedisResult, Value, cmd};

/// A lane's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneState {
    /// Entries in the stream, claimed or not; 0 if it does not exist yet.
    pub entries: u64,
    /// The consumer group, if it exists.
    pub group: Option<GroupState>,
}

/// A lane's consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// Claimed and unacknowledged entries.
    pub pending: u64,
    /// The oldest of them.
    pub oldest: Option<OldestPending>,
    /// The consumers.
    pub consumers: Vec<ConsumerState>,
    /// Whether it has passed entries that are not pending, or is ahead of the stream's latest id: somebody
    /// moved it, or removed its pending entries.
    pub skips_entries: bool,
}

/// A pending entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldestPending {
    /// When it was appended, by the clock of Redis, in milliseconds since 1970.
    pub appended_at_ms: u64,
    /// The consumer that claimed it.
    pub consumer: String,
    /// How long since it was claimed or renewed.
    pub idle: Duration,
}

/// A consumer of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerState {
    /// Its name, unique per worker process.
    pub name: String,
    /// Its pending entries.
    pub pending: u64,
    /// How long since it last asked for entries.
    pub idle: Duration,
}

/// The error of Redis for a missing key or group.
const NO_SUCH_KEY: &str = "no such key";

/// Inspects one lane.
pub async fn inspect_lane(
    connection: &mut MultiplexedConnection,
    keys: &RedisKeys,
    lane: Lane,
) -> RedisResult<LaneState> {
    let key = keys.stream(lane);
    let entries = cmd("XLEN").arg(&key).query_async(connection).await?;
    let mut groups = cmd("XINFO");
    groups.arg("GROUPS").arg(&key);
    let groups: StreamInfoGroupsReply = match groups.query_async(connection).await {
        Err(error) if is_no_such_key(&error) => StreamInfoGroupsReply::default(),
        groups => groups?,
    };
    let has_group = groups.groups.iter().any(|g| g.name == CONSUMER_GROUP);
    let group = if has_group {
        Some(inspect_group(connection, &key).await?)
    } else {
        None
    };
    Ok(LaneState { entries, group })
}

/// Id, consumer, milliseconds since its last claim, claims.
type Pending = (String, String, u64, u64);

async fn inspect_group(
    connection: &mut MultiplexedConnection,
    key: &str,
) -> RedisResult<GroupState> {
    let mut consumers = cmd("XINFO");
    consumers.arg("CONSUMERS").arg(key).arg(CONSUMER_GROUP);
    let consumers: StreamInfoConsumersReply = consumers.query_async(connection).await?;
    // In one step, because they are compared.
    let mut state = redis::pipe();
    state.atomic().cmd("XINFO").arg(&["STREAM", key]);
    state.cmd("XINFO").arg(&["GROUPS", key]);
    state
        .cmd("XPENDING")
        .arg(&[key, CONSUMER_GROUP, "-", "+", "1"]);
    let (stream, groups, first): (HashMap<String, Value>, StreamInfoGroupsReply, Vec<Pending>) =
        state.query_async(connection).await?;
    let mut groups = groups.groups.into_iter();
    let group = groups.find(|group| group.name == CONSUMER_GROUP);
    let group = group.unwrap_or_default();
    let oldest = first.into_iter().next();
    Ok(GroupState {
        pending: group.pending as u64,
        skips_entries: skips_entries(&stream, &group, oldest.as_ref()),
        oldest: oldest.map(|(id, consumer, idle, _claims)| OldestPending {
            appended_at_ms: appended_at_ms(&id),
            consumer,
            idle: Duration::from_millis(idle),
        }),
        consumers: consumers.consumers.into_iter().map(consumer).collect(),
    })
}

/// Delivered entries are pending until they are acknowledged and deleted in one step. So the first entry of the
/// stream is the oldest pending one, or the group has not come to it yet.
fn skips_entries(
    stream: &HashMap<String, Value>,
    group: &StreamInfoGroup,
    oldest_pending: Option<&Pending>,
) -> bool {
    let Some(delivered) = EntryId::parse(&group.last_delivered_id) else {
        return false;
    };
    let generated: Option<String> = field(stream, "last-generated-id");
    let is_ahead = generated
        .and_then(|id| EntryId::parse(&id))
        .is_some_and(|generated| delivered > generated);
    let first: Option<(String, Value)> = field(stream, "first-entry");
    let is_unclaimed = first
        .and_then(|(id, _)| EntryId::parse(&id))
        .is_some_and(|first| {
            let oldest = oldest_pending.and_then(|(id, ..)| EntryId::parse(id));
            first <= delivered && oldest.is_none_or(|oldest| first < oldest)
        });
    is_ahead || is_unclaimed
}

fn field<T: FromRedisValue>(stream: &HashMap<String, Value>, name: &str) -> Option<T> {
    redis::from_redis_value_ref(stream.get(name)?).ok()
}

fn consumer(consumer: StreamInfoConsumer) -> ConsumerState {
    ConsumerState {
        name: consumer.name,
        pending: consumer.pending as u64,
        idle: Duration::from_millis(consumer.idle as u64),
    }
}

/// An entry's id starts with the time of its append.
fn appended_at_ms(id: &str) -> u64 {
    let (millis, _) = id.split_once('-').unwrap_or((id, ""));
    millis.parse().unwrap_or(0)
}

fn is_no_such_key(error: &RedisError) -> bool {
    error
        .detail()
        .is_some_and(|fields| fields.contains(NO_SUCH_KEY))
}

#[cfg(test)]
mod tests {
    use harkara_testkit::redis_database;

    use super::*;
    use crate::Deployment;
    use crate::connect::connect;
    use crate::consumer_group::Group;
    use crate::test_redis::{TestRedis, settings};

    /// Whether entries are skipped after commands on a lane with five entries of which three are claimed.
    async fn after(commands: &[&str]) -> bool {
        let url = redis_database().await;
        let settings = settings(&url);
        let group = Group::new(&settings.redis, Deployment::of(&settings), "me".to_owned());
        group.ensure().await.unwrap();
        let mut redis = TestRedis::at(&url, 0).await;
        redis
            .append(Lane::Normal, (1..=5).map(|n| format!("1-{n}")))
            .await;
        redis.claim("me", Lane::Normal, 3).await;
        for command in commands {
            let _: Value = redis.run(command).await;
        }
        let mut connection = connect(&settings.redis).await.unwrap();
        let state = inspect_lane(&mut connection, &settings.redis.keys, Lane::Normal)
            .await
            .unwrap();
        state.group.unwrap().skips_entries
    }

    #[tokio::test]
    async fn entries_that_were_skipped_by_hand_are_seen() {
        for (commands, expected) in [
            (&[][..], false),
            (&["XACK normal GROUP 1-1 1-2", "XDEL normal 1-1 1-2"], false),
            (&["XGROUP SETID normal GROUP 0"], false),
            (&["XACK normal GROUP 1-1"], true),
            (&["XGROUP DELCONSUMER normal GROUP me"], true),
            (
                &[
                    "XACK normal GROUP 1-1 1-2 1-3",
                    "XDEL normal 1-1 1-2 1-3",
                    "XGROUP SETID normal GROUP $",
                ],
                true,
            ),
            (&["XGROUP SETID normal GROUP 9-0"], true),
            (&["XDEL normal 1-2"], false),
        ] {
            assert_eq!(after(commands).await, expected, "{commands:?}");
        }
    }

    #[test]
    fn an_id_contains_the_time_of_the_append() {
        assert_eq!(appended_at_ms("1790000000123-4"), 1_790_000_000_123);
        assert_eq!(appended_at_ms("odd"), 0);
    }
}
