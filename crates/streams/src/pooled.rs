//! Asking over the pool, and the end of connections on which something failed.

use deadpool_redis::{Connection, Pool, PoolError};
use redis::{RedisError, RedisResult};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PooledError {
    /// No connection could be taken from the pool.
    #[error("no connection to Redis")]
    Connect(#[source] PoolError),
    /// No answer, or a refusal.
    #[error("a command failed")]
    Command(#[source] RedisError),
}

/// Asks something over a connection of the pool.
///
/// After an error, whatever it was, the connection is closed instead of given back, and so are those that
/// lie in the pool: the pool would lend them again as long as the server answers a `PING`, which a former
/// primary does that has become a replica while its name went to another server.
pub async fn ask_over<T>(
    pool: &Pool,
    ask: impl AsyncFnOnce(&mut Connection) -> RedisResult<T>,
) -> Result<T, PooledError> {
    let mut connection = pool.get().await.map_err(PooledError::Connect)?;
    let answer = ask(&mut connection).await;
    if answer.is_err() {
        drop(Connection::take(connection));
        pool.retain(|_, _| false);
    }
    answer.map_err(PooledError::Command)
}

/// Asks whether the server answers.
pub async fn ping(pool: &Pool) -> Result<(), PooledError> {
    let ping = redis::cmd("PING");
    ask_over(pool, async |connection| ping.query_async(connection).await).await
}
