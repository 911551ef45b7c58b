//! Rehearses an append without writing: whether Redis would accept and confirm a real one.

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};

use crate::confirmation::Confirmations;

/// 0 would wait forever.
const WAIT_MS: u64 = 1;

/// Sends every command that appends need, in one round trip. Fails with the first refusal.
pub async fn rehearse(
    connection: &mut MultiplexedConnection,
    keys: &RedisKeys,
    confirmations: &Confirmations,
) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    add_waits_of_nothing(&mut pipeline, confirmations);
    if confirmations.are_grouped() {
        pipeline.cmd("MULTI");
    }
    add_append(&mut pipeline, keys);
    if confirmations.are_grouped() {
        pipeline.cmd("EXEC");
    }
    let replies: Vec<Value> = pipeline.query_async(connection).await?;
    let refusal = replies.into_iter().find_map(|reply| match reply {
        Value::ServerError(refusal) => Some(refusal),
        _ => None,
    });
    refusal.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// An append to a missing stream that must not be created: Redis replies nil and writes nothing, but first
/// checks everything that a real append needs: memory, permission, being a primary, persistence, and
/// loaded data.
fn add_append(pipeline: &mut Pipeline, keys: &RedisKeys) {
    pipeline
        .cmd("XADD")
        .arg(keys.rehearsal())
        .arg(&["NOMKSTREAM", "*", "f", "v"]);
}

/// The commands that confirm the levels, requiring zero copies, so that they return immediately.
fn add_waits_of_nothing(pipeline: &mut Pipeline, confirmations: &Confirmations) {
    let confirmations = Lane::ALL.map(|lane| confirmations.confirmation(lane));
    if confirmations.iter().any(|lane| lane.fsync) {
        pipeline.cmd("WAITAOF").arg(&[0, 0, WAIT_MS]);
    }
    if confirmations.iter().any(|lane| lane.replicas > 0) {
        pipeline.cmd("WAIT").arg(&[0, WAIT_MS]);
    }
}
