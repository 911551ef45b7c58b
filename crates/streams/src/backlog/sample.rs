//! One look at the streams of all lanes, as one step in Redis.

use std::sync::LazyLock;
use std::time::Duration;

use harkara_core::backlog::{Consumers, StreamSample};
use harkara_core::lane::{CONSUMER_GROUP, LANES, Lane};
use redis::Script;

use crate::{Pool, PooledError, ask_over};

/// Most pending entries of a lane that are looked for in its stream, one by one. More of them Redis is
/// believed: entries that somebody deleted while they were pending then count as pending for as long as
/// no worker has noticed, and not as undelivered. The backlog does not depend on it.
pub(super) const PENDING_LOOKED_FOR_MAX: u64 = 1000;

/// Tells the time; how many consumers of the group `ARGV[1]` have been idle in every stream for more than
/// `ARGV[3]` milliseconds, and how many have not; and, for each of the streams in `KEYS`, its length, the id
/// of its first entry, how many entries were ever appended (none before Redis 7), and how many of those that
/// are there are pending in the group, looking for up to `ARGV[2]` of them one by one. A stream or group that
/// does not exist has nothing. Reads only, and the keys share a cluster slot.
static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local function pending(key, length)
            local summary = redis.pcall('XPENDING', key, ARGV[1])
            if summary.err then
                if summary.err:find('NOGROUP', 1, true) then return 0 end
                return summary
            end
            local n = summary[1]
            if n == 0 or n > tonumber(ARGV[2]) then return math.min(n, length) end
            local there = 0
            for _, entry in ipairs(redis.call('XPENDING', key, ARGV[1], '-', '+', n)) do
                there = there + #redis.call('XRANGE', key, entry[1], entry[1])
            end
            return there
        end
        local idle = {}
        local function meet(key)
            local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
            if consumers.err then
                if consumers.err:find('NOGROUP', 1, true) then return end
                return consumers
            end
            for _, consumer in ipairs(consumers) do
                local told = {}
                for i = 1, #consumer, 2 do told[consumer[i]] = consumer[i + 1] end
                idle[told.name] = math.min(idle[told.name] or told.idle, told.idle)
            end
        end
        local time = redis.call('TIME')
        local look = {time[1], time[2], 0, 0}
        for _, key in ipairs(KEYS) do
            local row = {0, false, 0, 0}
            if redis.call('EXISTS', key) == 1 then
                local told, stream = {}, redis.call('XINFO', 'STREAM', key)
                for i = 1, #stream, 2 do told[stream[i]] = stream[i + 1] end
                local first = told['first-entry']
                local held = pending(key, told.length)
                if type(held) == 'table' then return held end
                local refused = meet(key)
                if refused then return refused end
                row = {told.length, first and first[1] or false, told['entries-added'] or false, held}
            end
            look[#look + 1] = row
        end
        for _, ms in pairs(idle) do
            local at = ms <= tonumber(ARGV[3]) and 3 or 4
            look[at] = look[at] + 1
        end
        return look",
    )
});

/// Length, first id, ever appended, pending.
type Row = (u64, Option<String>, Option<u64>, u64);

/// Seconds and microseconds, consumers alive and stale, and the streams.
type Told = (u64, u64, u64, u64, Row, Row, Row, Row);

/// What a look found: the time of Redis in microseconds since 1970, and everything at that time.
pub(super) struct Found {
    pub(super) at_micros: u64,
    pub(super) consumers: Consumers,
    pub(super) streams: [StreamSample; LANES],
}

/// The streams of a partition.
pub(super) struct Streams {
    pool: Pool,
    keys: [String; LANES],
    pub(super) quiet_max: Duration,
}

impl Streams {
    /// A consumer that has been idle for more than `quiet_max` is stale.
    pub(super) fn new(pool: Pool, partition: u16, quiet_max: Duration) -> Self {
        Self {
            pool,
            keys: Lane::ALL.map(|lane| lane.stream_key(partition)),
            quiet_max,
        }
    }

    pub(super) async fn look(&self) -> Result<Found, PooledError> {
        let mut script = LOOK.prepare_invoke();
        for key in &self.keys {
            script.key(key);
        }
        let quiet_max_ms = u64::try_from(self.quiet_max.as_millis()).unwrap_or(u64::MAX);
        script
            .arg(CONSUMER_GROUP)
            .arg(PENDING_LOOKED_FOR_MAX)
            .arg(quiet_max_ms);
        let asked = async |connection: &mut _| script.invoke_async(connection).await;
        let (seconds, micros, alive, stale, critical, medium, normal, default): Told =
            ask_over(&self.pool, asked).await?;
        Ok(Found {
            at_micros: seconds * 1_000_000 + micros,
            consumers: Consumers { alive, stale },
            streams: [critical, medium, normal, default].map(stream),
        })
    }
}

fn stream((entries, first, appended, pending): Row) -> StreamSample {
    let millis = first.and_then(|id| id.split_once('-')?.0.parse().ok());
    StreamSample {
        entries,
        pending,
        oldest_millis: millis,
        appended,
    }
}
