//! Connections to PostgreSQL.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Object, Pool as DeadPool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::{join, join_all};
use harkara_core::secret::Secret;
use harkara_tls::ClientTls;

use crate::StorageError;
use crate::connect::{connect, not_connected};

/// How to connect, and the bounds of waiting.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// `postgres://…`.
    pub url: Secret,
    /// How to verify the server; without it, the connection is plain.
    pub tls: Option<ClientTls>,
    /// Shown in `pg_stat_activity`.
    pub application: &'static str,
    /// Most connections open at once.
    pub connections_max: usize,
    /// Longest wait for a connection, new or returned.
    pub connect_timeout: Duration,
    /// Longest time the server may spend on one statement, and wait for the next one of a transaction:
    /// a worker that stands still must not hold its locks for ever.
    pub statement_timeout: Duration,
}

/// The connections of a pool by their use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Lent, or being opened for somebody.
    pub in_use: usize,
    /// Open and waiting to be lent.
    pub idle: usize,
}

/// A pool of connections, cheap to clone. It connects when first asked.
#[derive(Clone)]
pub struct Pool {
    inner: DeadPool<AsyncPgConnection>,
    transaction_timeout: Duration,
}

/// What is good to have and not given everywhere.
const OPTIONAL_SETTINGS: [&str; 2] = [
    // Whether an error is the server's trouble is told by its untranslated words. Where the role may not
    // choose them, they are most likely untranslated all the same.
    "SET lc_messages = 'C'",
    // A statement that waits for a lock then notices that its client has gone. PostgreSQL 14 and later.
    "SET client_connection_check_interval = '1s'",
];

/// A commit is what a 200 or an acknowledgement rests on, so it is not confirmed before it is on disk,
/// whatever the server's, the database's or the role's default is or becomes. Levels that wait for replicas
/// are kept.
const WAIT_FOR_COMMITS: &str = "SELECT set_config('synchronous_commit', \
     CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
     ELSE current_setting('synchronous_commit') END, false)";

/// The bound of one operation, in statement timeouts. A statement usually takes a thousandth of one; what
/// takes longer than this in all is cut off, as is a silent network, and tried again with less at a time.
const TRANSACTION_STATEMENTS: u32 = 2;

impl Pool {
    /// Lays out a pool. Nothing is connected yet, so this succeeds while the server is away.
    pub fn new(settings: &PoolSettings) -> Result<Self, StorageError> {
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        let timeout_ms = settings.statement_timeout.as_millis();
        let application = settings.application;
        let tls = settings.tls.clone();
        config.custom_setup = Box::new(move |url| {
            let tls = tls.clone();
            Box::pin(async move {
                let connection = connect(url, tls.as_ref())
                    .await
                    .map_err(ConnectionError::BadConnection)?;
                let required = format!(
                    "SET statement_timeout = {timeout_ms}; \
                     SET idle_in_transaction_session_timeout = {timeout_ms}; \
                     SET application_name = '{application}'; SET timezone = 'UTC'; {WAIT_FOR_COMMITS}"
                );
                // Sent together: on a slow link each answer that is waited for counts.
                let (_, required) = join(
                    join_all(OPTIONAL_SETTINGS.map(|text| set_if_allowed(&connection, text))),
                    (&mut &connection).batch_execute(&required),
                )
                .await;
                required.map_err(ConnectionError::CouldntSetupConfiguration)?;
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
    pub(crate) async fn get(&self) -> Result<PooledConnection, StorageError> {
        let connection = self.inner.get().await;
        connection
            .map(|connection| PooledConnection(Some(connection)))
            .map_err(|e| not_connected(reason(&e)))
    }

    /// Runs one operation over a connection of the pool within the transaction bound, to which the wait for the
    /// connection does not count: it has a bound of its own. When it is cut off its connection is dropped, and
    /// the server rolls back what was not committed. When it was refused because its session only reads,
    /// so may all others that were opened by then, however writable the database is later: they are closed.
    pub(crate) async fn within<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut connection = self.get().await?;
        let work = work(&mut connection);
        let Ok(result) = tokio::time::timeout(self.transaction_timeout, work).await else {
            return Err(StorageError::TimedOut {
                operation,
                seconds: self.transaction_timeout.as_secs(),
            });
        };
        // Given back before the pool is emptied, so that it goes too.
        drop(connection);
        if result.as_ref().is_err_and(StorageError::is_read_only) {
            self.inner.retain(|_, _| false);
        }
        result
    }

    /// How its connections are used now.
    #[must_use]
    pub fn use_now(&self) -> PoolUse {
        let status = self.inner.status();
        PoolUse {
            in_use: status.size.saturating_sub(status.available),
            idle: status.available,
        }
    }

    /// Asks the server for an answer.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.within("ping", async |connection| {
            connection
                .batch_execute("SELECT 1")
                .await
                .map_err(StorageError::statement("ping"))
        })
        .await
    }
}

/// A connection on loan from the pool.
///
/// Work that is cut off or given up leaves its transaction open. Such a connection is not given back
/// but closed, so that the server rolls back and frees the locks at once: the pool itself would look
/// at it only when it lends it again.
pub(crate) struct PooledConnection(Option<Object<AsyncPgConnection>>);

impl Deref for PooledConnection {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.0.as_ref().expect("it is taken only when dropped")
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        self.0.as_mut().expect("it is taken only when dropped")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.take()
            && connection.is_broken()
        {
            drop(Object::take(connection));
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.inner.status().size)
            .finish_non_exhaustive()
    }
}

/// Sends a setting that the server, or the role's rights, may refuse.
async fn set_if_allowed(mut connection: &AsyncPgConnection, text: &str) {
    if let Err(error) = connection.batch_execute(text).await {
        tracing::debug!(setting = text, %error, "PostgreSQL does not take a setting that would be good to have.");
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
