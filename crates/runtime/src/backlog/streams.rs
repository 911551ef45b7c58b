//! One look at the streams of all lanes, as one step in Redis.

use std::sync::LazyLock;

use harkara_core::backlog::StreamLook;
use harkara_core::lane::{CONSUMER_GROUP, LANES, Lane};
use redis::Script;

use crate::redis::{Pool, PooledError, ask_over};

/// Most pending entries of a lane that are looked for in its stream, one by one. More of them Redis is
/// believed: entries that somebody deleted while they were pending then count as pending for as long as
/// no worker has noticed, and not as undelivered. The backlog does not depend on it.
pub(super) const PENDING_LOOKED_FOR_MAX: u64 = 1000;

/// Tells the time and, for each of the streams in `KEYS`, its length, the id of its first entry, how many
/// entries were ever appended (none before Redis 7), and how many of those that are there are pending in the
/// group `ARGV[1]`, looking for up to `ARGV[2]` of them one by one. A stream or group that does not exist
/// has nothing. Reads only, and the keys share a cluster slot.
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
        local time = redis.call('TIME')
        local look = {time[1], time[2]}
        for _, key in ipairs(KEYS) do
            local row = {0, false, 0, 0}
            if redis.call('EXISTS', key) == 1 then
                local told, stream = {}, redis.call('XINFO', 'STREAM', key)
                for i = 1, #stream, 2 do told[stream[i]] = stream[i + 1] end
                local first = told['first-entry']
                local held = pending(key, told.length)
                if type(held) == 'table' then return held end
                row = {told.length, first and first[1] or false, told['entries-added'] or false, held}
            end
            look[#look + 1] = row
        end
        return look",
    )
});

/// Length, first id, ever appended, pending.
type Row = (u64, Option<String>, Option<u64>, u64);

/// The streams of a partition.
pub(super) struct Streams {
    pool: Pool,
    keys: [String; LANES],
}

impl Streams {
    pub(super) fn new(pool: Pool, partition: u16) -> Self {
        Self {
            pool,
            keys: Lane::ALL.map(|lane| lane.stream_key(partition)),
        }
    }

    /// The time of Redis in microseconds since 1970, and what the streams hold at that time.
    pub(super) async fn look(&self) -> Result<(u64, [StreamLook; LANES]), PooledError> {
        let mut script = LOOK.prepare_invoke();
        for key in &self.keys {
            script.key(key);
        }
        script.arg(CONSUMER_GROUP).arg(PENDING_LOOKED_FOR_MAX);
        let asked = async |connection: &mut _| script.invoke_async(connection).await;
        let (seconds, micros, critical, medium, normal, default): (u64, u64, Row, Row, Row, Row) =
            ask_over(&self.pool, asked).await?;
        let streams = [critical, medium, normal, default].map(stream);
        Ok((seconds * 1_000_000 + micros, streams))
    }
}

fn stream((entries, first, appended, pending): Row) -> StreamLook {
    let millis = first.and_then(|id| id.split_once('-')?.0.parse().ok());
    StreamLook {
        entries,
        pending,
        oldest_millis: millis,
        appended,
    }
}
