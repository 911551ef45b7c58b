//! Commands over the pool, which drops its connections after an error.

use deadpool::managed::Object;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};

use crate::pool::{Pool, PoolError};

/// Why a command over the pool failed.
#[derive(Debug, thiserror::Error)]
pub enum PooledError {
    /// No connection could be taken from the pool.
    #[error("no connection to Redis")]
    Connect(#[source] PoolError),
    /// Redis did not answer, or refused.
    #[error("a command failed")]
    Command(#[source] RedisError),
}

/// Runs commands over a connection of the pool.
///
/// After any error the connection is closed instead of returned, and so are the idle ones. The pool would
/// reuse them as long as the server answers a `PING`, and so does a former primary that is now a replica.
pub async fn ask_over<T>(
    pool: &Pool,
    ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
) -> Result<T, PooledError> {
    let mut connection = pool.get().await.map_err(PooledError::Connect)?;
    let answer = ask(&mut connection).await;
    if answer.is_err() {
        drop(Object::take(connection));
        pool.retain(|_, _| false);
    }
    answer.map_err(PooledError::Command)
}

/// Fails if the server does not answer.
pub async fn ping(pool: &Pool) -> Result<(), PooledError> {
    let ping = redis::cmd("PING");
    ask_over(pool, async |connection| ping.query_async(connection).await).await
}
