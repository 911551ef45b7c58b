//! An append that writes nothing: whether Redis would take a real one, and let it be confirmed.

use harkara_core::lane::Lane;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};

use crate::confirmation::Confirmations;

/// 0 would be for ever.
const WAIT_MS: u64 = 1;

/// Asks for all that appends need, in one round trip; the error is the first refusal.
pub async fn rehearse(
    connection: &mut MultiplexedConnection,
    partition: u16,
    confirmations: &Confirmations,
) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    add_waits_of_nothing(&mut pipeline, confirmations);
    if confirmations.are_grouped() {
        pipeline.cmd("MULTI");
    }
    add_append(&mut pipeline, partition);
    if confirmations.are_grouped() {
        pipeline.cmd("EXEC");
    }
    let answers: Vec<Value> = pipeline.query_async(connection).await?;
    let refusal = answers.into_iter().find_map(|answer| match answer {
        Value::ServerError(refusal) => Some(refusal),
        _ => None,
    });
    refusal.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// An append to a stream that does not exist, and that the append must not create: Redis answers
/// with nothing and writes nothing, but first checks all that a real append needs: memory,
/// permission, that it is no replica, that it can persist and has loaded its data.
fn add_append(pipeline: &mut Pipeline, partition: u16) {
    pipeline
        .cmd("XADD")
        .arg(format!("harkara:{{{partition}}}:rehearsal"))
        .arg(&["NOMKSTREAM", "*", "f", "v"]);
}

/// The waits that confirm the levels, asking for no copy at all, so that they are answered at once.
fn add_waits_of_nothing(pipeline: &mut Pipeline, confirmations: &Confirmations) {
    let asked = Lane::ALL.map(|lane| confirmations.confirmation(lane));
    if asked.iter().any(|asked| asked.fsync) {
        pipeline.cmd("WAITAOF").arg(&[0, 0, WAIT_MS]);
    }
    if asked.iter().any(|asked| asked.replicas > 0) {
        pipeline.cmd("WAIT").arg(&[0, WAIT_MS]);
    }
}
