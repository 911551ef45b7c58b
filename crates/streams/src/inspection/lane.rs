//! A lane's stream, its consumer group and its consumers.

use std::time::Duration;

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamInfoConsumer, StreamInfoConsumersReply, StreamInfoGroupsReply};
use redis::{RedisError, RedisResult, cmd};

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

/// Inspects one lane of a partition.
pub async fn inspect_lane(
    connection: &mut MultiplexedConnection,
    partition: u16,
    lane: Lane,
) -> RedisResult<LaneState> {
    let key = lane.stream_key(partition);
    let entries = cmd("XLEN").arg(&key).query_async(connection).await?;
    let mut groups = cmd("XINFO");
    groups.arg("GROUPS").arg(&key);
    let groups: StreamInfoGroupsReply = match groups.query_async(connection).await {
        Err(error) if is_no_such_key(&error) => StreamInfoGroupsReply::default(),
        groups => groups?,
    };
    let group = groups.groups.iter().find(|g| g.name == CONSUMER_GROUP);
    let group = match group {
        None => None,
        Some(group) => Some(inspect_group(connection, &key, group.pending as u64).await?),
    };
    Ok(LaneState { entries, group })
}

async fn inspect_group(
    connection: &mut MultiplexedConnection,
    key: &str,
    pending: u64,
) -> RedisResult<GroupState> {
    let mut consumers = cmd("XINFO");
    consumers.arg("CONSUMERS").arg(key).arg(CONSUMER_GROUP);
    let consumers: StreamInfoConsumersReply = consumers.query_async(connection).await?;
    let mut first = cmd("XPENDING");
    first.arg(key).arg(CONSUMER_GROUP).arg(&["-", "+", "1"]);
    let first: Vec<(String, String, u64, u64)> = first.query_async(connection).await?;
    let oldest = first.into_iter().next();
    Ok(GroupState {
        pending,
        oldest: oldest.map(|(id, consumer, idle, _claims)| OldestPending {
            appended_at_ms: appended_at_ms(&id),
            consumer,
            idle: Duration::from_millis(idle),
        }),
        consumers: consumers.consumers.into_iter().map(consumer).collect(),
    })
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
    use super::*;

    #[test]
    fn an_id_contains_the_time_of_the_append() {
        assert_eq!(appended_at_ms("1790000000123-4"), 1_790_000_000_123);
        assert_eq!(appended_at_ms("odd"), 0);
    }
}
