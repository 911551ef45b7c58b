//! Samples the streams of all lanes in one atomic step.

use std::sync::LazyLock;
use std::time::Duration;

use harkara_core::backlog::{Consumers, Sample, StreamSample};
use harkara_core::deployment::Mark;
use harkara_core::lane::{CONSUMER_GROUP, LANES};
use redis::Script;

use crate::{Deployment, Pool, PooledError, ask_over};

/// Maximum pending entries of a lane that are looked up in its stream one by one. With more, entries that were
/// deleted while pending count as pending until a worker notices. The backlog itself does not depend on it.
pub(super) const PENDING_LOOKUPS_MAX: u64 = 1000;

/// Returns the time; how many consumers of the group `ARGV[1]` were active in some stream within `ARGV[3]`
/// milliseconds, and how many were not; and, for each stream in `KEYS`, its length, the id of its first
/// entry, how many entries were ever appended (nil before Redis 7), and how many of its entries are pending in
/// the group, looking up to `ARGV[2]` of them one by one. A missing stream or group counts as empty. Reads
/// only, and the keys share a cluster slot.
static SAMPLE: LazyLock<Script> = LazyLock::new(|| {
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
        local function note_consumers(key)
            local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
            if consumers.err then
                if consumers.err:find('NOGROUP', 1, true) then return end
                return consumers
            end
            for _, consumer in ipairs(consumers) do
                local fields = {}
                for i = 1, #consumer, 2 do fields[consumer[i]] = consumer[i + 1] end
                idle[fields.name] = math.min(idle[fields.name] or fields.idle, fields.idle)
            end
        end
        local time = redis.call('TIME')
        local sample = {time[1], time[2], 0, 0}
        for _, key in ipairs(KEYS) do
            local row = {0, false, 0, 0}
            if redis.call('EXISTS', key) == 1 then
                local fields, stream = {}, redis.call('XINFO', 'STREAM', key)
                for i = 1, #stream, 2 do fields[stream[i]] = stream[i + 1] end
                local first = fields['first-entry']
                local held = pending(key, fields.length)
                if type(held) == 'table' then return held end
                local err = note_consumers(key)
                if err then return err end
                row = {fields.length, first and first[1] or false, fields['entries-added'] or false, held}
            end
            sample[#sample + 1] = row
        end
        for _, ms in pairs(idle) do
            local at = ms <= tonumber(ARGV[3]) and 3 or 4
            sample[at] = sample[at] + 1
        end
        return sample",
    )
});

/// Length, first id, ever appended, pending.
type StreamReply = (u64, Option<String>, Option<u64>, u64);

/// Seconds and microseconds, consumers alive and stale, and the streams.
type Reply = (
    u64,
    u64,
    u64,
    u64,
    StreamReply,
    StreamReply,
    StreamReply,
    StreamReply,
);

/// The streams of a deployment.
pub(super) struct Streams {
    pool: Pool,
    pub(super) deployment: Deployment,
    keys: [String; LANES],
    pub(super) quiet_max: Duration,
}

impl Streams {
    /// A consumer that has been idle for more than `quiet_max` is stale.
    pub(super) fn new(pool: Pool, deployment: Deployment, quiet_max: Duration) -> Self {
        Self {
            pool,
            keys: deployment.keys().streams(),
            deployment,
            quiet_max,
        }
    }

    /// Samples the streams alone, at the time of Redis, and reads whose they are.
    pub(super) async fn sample(&self) -> Result<(Sample, Option<Mark>), PooledError> {
        let mut script = SAMPLE.prepare_invoke();
        for key in &self.keys {
            script.key(key);
        }
        let quiet_max_ms = u64::try_from(self.quiet_max.as_millis()).unwrap_or(u64::MAX);
        script
            .arg(CONSUMER_GROUP)
            .arg(PENDING_LOOKUPS_MAX)
            .arg(quiet_max_ms);
        let query = async |connection: &mut _| {
            let reply: Reply = script.invoke_async(connection).await?;
            Ok((reply, self.deployment.read_mark(connection).await?))
        };
        let (reply, mark) = ask_over(&self.pool, query).await?;
        let (seconds, micros, alive, stale, critical, medium, normal, default) = reply;
        let sample = Sample {
            at_micros: seconds * 1_000_000 + micros,
            consumers: Consumers { alive, stale },
            streams: [critical, medium, normal, default].map(stream_sample),
            ledger: None,
        };
        Ok((sample, mark))
    }
}

fn stream_sample((entries, first, appended, pending): StreamReply) -> StreamSample {
    StreamSample {
        entries,
        pending,
        oldest_millis: first.and_then(|id| id.split_once('-')?.0.parse().ok()),
        appended,
    }
}
