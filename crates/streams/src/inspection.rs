//! Inspects a server and its lanes for operators. Writes nothing.

mod commands;
mod lane;
mod login;
mod server;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

pub use commands::missing_commands;
pub use lane::{ConsumerState, GroupState, LaneState, OldestPending, inspect_lane};
pub use login::admits_anybody;
pub use server::{AppendOnlyFile, LatencySpike, ReplicaState, ServerState, inspect_server};

/// The time by the server's clock, in microseconds since 1970.
pub async fn server_time_us(connection: &mut MultiplexedConnection) -> RedisResult<i64> {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
    Ok(seconds.saturating_mul(1_000_000).saturating_add(micros))
}
