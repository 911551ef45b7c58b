//! The pool for everything outside the hot path, which serves probes, listings and clean-up.

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, PoolBuilder, PoolConfig, RecycleResult, Timeouts};
use harkara_settings::RedisSettings;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, cmd};

use crate::connect::connect;

/// Maximum connections of the pool.
const CONNECTIONS_MAX: usize = 8;

const BUILT: &str = "a pool with timeouts has its runtime";

/// A pool of connections, cheap to clone. It connects when first used; the settings bound waiting for a connection,
/// connecting, and each command.
pub type Pool = managed::Pool<Manager>;

/// Why the pool has no connection.
pub type PoolError = managed::PoolError<RedisError>;

/// A check of each new connection, which is not used if it fails.
pub(crate) type Hook = managed::Hook<Manager>;

/// Why such a check failed.
pub(crate) type HookError = managed::HookError<RedisError>;

/// Opens the connections of a pool, and checks them before each use.
#[derive(Debug)]
pub struct Manager(RedisSettings);

impl managed::Manager for Manager {
    type Type = MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<MultiplexedConnection> {
        connect(&self.0).await
    }

    async fn recycle(
        &self,
        connection: &mut MultiplexedConnection,
        _: &Metrics,
    ) -> RecycleResult<RedisError> {
        cmd("PING").query_async::<()>(connection).await?;
        Ok(())
    }
}

/// A pool of connections to the Redis of the settings.
#[must_use]
pub fn pool(settings: &RedisSettings) -> Pool {
    builder(settings).build().expect(BUILT)
}

/// Such a pool, which uses no new connection that a check refuses.
pub(crate) fn checked_pool(settings: &RedisSettings, check: Hook) -> Pool {
    let builder = builder(settings).post_create(check);
    builder.build().expect(BUILT)
}

fn builder(settings: &RedisSettings) -> PoolBuilder<Manager> {
    let bound = Some(settings.connect_timeout);
    Pool::builder(Manager(settings.clone()))
        .config(PoolConfig {
            timeouts: Timeouts {
                wait: bound,
                create: bound,
                recycle: bound,
            },
            ..PoolConfig::new(CONNECTIONS_MAX)
        })
        .runtime(Runtime::Tokio1)
}
