//! What must happen in Redis as one step.

use std::sync::LazyLock;

use redis::Script;

/// Removes consumers other than `ARGV[2]` with nothing pending that were idle for `ARGV[3]`
/// milliseconds; gives how many.
pub(super) static RETIRE_IDLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local retired = 0
        for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
            local told = {}
            for i = 1, #consumer, 2 do told[consumer[i]] = consumer[i + 1] end
            if told.name ~= ARGV[2] and told.pending == 0 and told.idle >= tonumber(ARGV[3]) then
                redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], told.name)
                retired = retired + 1
            end
        end
        return retired",
    )
});

/// Acknowledges those of the entries `ARGV[2…]` that are no longer in the stream; gives how many. An entry
/// that is there keeps its claim: it may be another consumer's by now.
pub(super) static FORGET_DELETED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local forgotten = 0
        for i = 2, #ARGV do
            if #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) == 0 then
                forgotten = forgotten + redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
            end
        end
        return forgotten",
    )
});

/// Removes the consumer `ARGV[2]` if it has nothing pending; gives whether it did.
pub(super) static DEREGISTER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
            local told = {}
            for i = 1, #consumer, 2 do told[consumer[i]] = consumer[i + 1] end
            if told.name == ARGV[2] and told.pending == 0 then
                redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], told.name)
                return 1
            end
        end
        return 0",
    )
});
