//! Connections to PostgreSQL.

use std::fmt;
use std::time::Duration;

use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Object, Pool as DeadPool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use harkara_core::secret::Secret;

use crate::StorageError;

/// How to connect, and the bounds of waiting.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// `postgres://…`.
    pub url: Secret,
    /// Shown in `pg_stat_activity`.
    pub application: &'static str,
    /// Most connections open at once.
    pub connections_max: usize,
    /// Longest wait for a connection, new or returned.
    pub connect_timeout: Duration,
    /// Longest time the server may spend on one statement.
    pub statement_timeout: Duration,
}

/// A pool of connections, cheap to clone. It connects when first asked.
#[derive(Clone)]
pub struct Pool {
    inner: DeadPool<AsyncPgConnection>,
    transaction_timeout: Duration,
}

/// Statements that one transaction may take: its bound is that many statement timeouts, so that a
/// server which answers each in time is never cut off, and a silent network is.
const TRANSACTION_STATEMENTS: u32 = 2;

impl Pool {
    /// Lays out a pool. Nothing is connected yet, so this succeeds while the server is away.
    pub fn new(settings: &PoolSettings) -> Result<Self, StorageError> {
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        let timeout_ms = settings.statement_timeout.as_millis();
        let application = settings.application;
        config.custom_setup = Box::new(move |url| {
            Box::pin(async move {
                let mut connection = AsyncPgConnection::establish(url).await?;
                connection
                    .batch_execute(&format!(
                        "SET statement_timeout = {timeout_ms}; SET application_name = '{application}'; SET timezone = 'UTC'"
                    ))
                    .await
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(connection)
            })
        });
        let manager = AsyncDieselConnectionManager::new_with_config(settings.url.expose(), config);
        let inner = DeadPool::builder(manager)
            .max_size(settings.connections_max)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(settings.connect_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .build()
            .map_err(|e| StorageError::Connect(e.to_string()))?;
        Ok(Self {
            inner,
            transaction_timeout: settings.statement_timeout * TRANSACTION_STATEMENTS,
        })
    }

    /// A connection, waited for within the pool's bound.
    pub(crate) async fn get(&self) -> Result<Object<AsyncPgConnection>, StorageError> {
        self.inner
            .get()
            .await
            .map_err(|e| StorageError::Connect(reason(&e)))
    }

    /// Runs one operation within the transaction bound. When it is cut off its connection is dropped,
    /// and the server rolls back what was not committed.
    pub(crate) async fn within<T>(
        &self,
        operation: &'static str,
        future: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        match tokio::time::timeout(self.transaction_timeout, future).await {
            Ok(result) => result,
            Err(_) => Err(StorageError::TimedOut {
                operation,
                seconds: self.transaction_timeout.as_secs(),
            }),
        }
    }

    /// Asks the server for an answer, for readiness.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let mut connection = self.get().await?;
        connection
            .batch_execute("SELECT 1")
            .await
            .map_err(StorageError::statement("ping"))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.inner.status().size)
            .finish_non_exhaustive()
    }
}

/// The innermost reason: the outer ones say only that a connection could not be made.
fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
