//! Connections to PostgreSQL.

mod connector;

use std::time::Duration;

use deadpool::managed::{self, Object, PoolError, TimeoutType};
use diesel::QueryResult;
use diesel_async::methods::LoadQuery;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use harkara_settings::{Pooler, PostgresSettings, ServerUrl};
use harkara_tls::ClientTls;
use scopeguard::{ScopeGuard, guard};

use crate::statement_times::Named;
use crate::{ConnectError, StorageError};
use connector::Connector;

/// How to connect, and the bounds of waiting.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// `postgres://…`.
    pub url: ServerUrl,
    /// How to verify the server; without it, the connection is plain.
    pub tls: Option<ClientTls>,
    /// Whether a pooler is in between.
    pub pooler: Pooler,
    /// Run-time parameters of the server, by name.
    pub parameters: Vec<(String, String)>,
    /// Shown in `pg_stat_activity`.
    pub application: &'static str,
    /// Maximum open connections.
    pub connections_max: usize,
    /// Longest wait for a connection, new or returned.
    pub connect_timeout: Duration,
    /// Longest time the server may spend on one statement, and wait for the next one of a transaction:
    /// a stalled worker must not keep its locks.
    pub statement_timeout: Duration,
    /// Longest wait for a lock, at most half the timeout of a statement; a statement that waits longer fails for
    /// this reason. `None` leaves it to the timeout of a statement.
    pub lock_timeout: Option<Duration>,
}

impl PoolSettings {
    /// How a process connects to the PostgreSQL of the settings, under the name `application`.
    #[must_use]
    pub fn of(settings: &PostgresSettings, application: &'static str) -> Self {
        Self {
            url: settings.url.clone(),
            tls: settings.tls.clone(),
            pooler: settings.pooler,
            parameters: settings.parameters.clone(),
            application,
            connections_max: settings.pool_max,
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
            lock_timeout: None,
        }
    }
}

/// The connections of a pool by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Checked out, or being opened for somebody.
    pub in_use: usize,
    /// Open and unused.
    pub idle: usize,
}

/// A pool of connections, cheap to clone. It connects on first use.
#[derive(Clone)]
pub struct Pool {
    inner: managed::Pool<Connector>,
    transaction_timeout: Duration,
}

/// The bound of one operation, in statement timeouts. A statement usually takes a thousandth of one; an
/// operation that takes longer is cut off, as it is on a silent network, and tried again with less at a time.
const TRANSACTION_STATEMENTS: u32 = 2;

impl Pool {
    /// Builds a pool without connecting, so this succeeds while the server is unavailable.
    pub fn new(settings: &PoolSettings) -> Result<Self, StorageError> {
        let inner = managed::Pool::builder(Connector::new(settings))
            .max_size(settings.connections_max)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(settings.connect_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .build()
            .map_err(ConnectError::Pool)?;
        Ok(Self {
            inner,
            transaction_timeout: settings.statement_timeout * TRANSACTION_STATEMENTS,
        })
    }

    /// Checks out a connection, or opens one, within the connect timeout.
    pub(crate) async fn get(&self) -> Result<PooledConnection, StorageError> {
        match self.inner.get().await {
            Ok(connection) => Ok(guard(connection, close_if_broken)),
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(ConnectError::Exhausted.into()),
            // The pool has a runtime and no hooks, and is never closed: only time can have run out.
            Err(_) => Err(ConnectError::TimedOut.into()),
        }
    }

    /// Runs an operation on a connection of the pool within the transaction bound, which excludes the wait
    /// for the connection. When the operation is cut off its connection is closed, and the server rolls back
    /// its transaction. When it failed because its session is read-only, all connections of the pool are closed:
    /// theirs may be like it. When others use its session, direct connections are not used again.
    pub(crate) async fn within<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.within_bound(operation, self.transaction_timeout, work)
            .await
    }

    /// The same within another bound. It does not change the bound of a statement.
    pub(crate) async fn within_bound<T>(
        &self,
        operation: &'static str,
        bound: Duration,
        work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut connection = self.get().await?;
        let work = work(&mut connection);
        let Ok(result) = tokio::time::timeout(bound, work).await else {
            return Err(StorageError::TimedOut {
                operation,
                seconds: bound.as_secs(),
            });
        };
        // Returned before the pool is emptied, so that it is closed too.
        drop(connection);
        if let Err(error) = &result {
            if error.is_read_only() {
                self.inner.retain(|_, _| false);
            }
            if error.is_shared_session() {
                self.inner.manager().found_shared();
            }
        }
        result
    }

    /// Runs one statement like [`Pool::within`], under the operation's name.
    pub(crate) async fn run<T>(
        &self,
        operation: &'static str,
        statement: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<T, StorageError> {
        // Boxed, so that the futures of callers with many statements stay small.
        let running = self.within(operation, async |connection| {
            statement(connection).named(operation).await
        });
        Box::pin(running).await
    }

    /// Runs a query like [`Pool::run`], and returns its rows.
    pub(crate) async fn load<'query, T: Send + 'static>(
        &self,
        operation: &'static str,
        query: impl LoadQuery<'query, AsyncPgConnection, T> + Send + 'query,
    ) -> Result<Vec<T>, StorageError> {
        self.run(operation, async |connection| query.load(connection).await)
            .await
    }

    /// The same for a query with exactly one row.
    pub(crate) async fn get_row<'query, T: Send + 'static>(
        &self,
        operation: &'static str,
        query: impl LoadQuery<'query, AsyncPgConnection, T> + Send + 'query,
    ) -> Result<T, StorageError> {
        self.run(operation, async |connection| {
            query.get_result(connection).await
        })
        .await
    }

    /// Counts its connections by use.
    #[must_use]
    pub fn use_now(&self) -> PoolUse {
        let status = self.inner.status();
        PoolUse {
            in_use: status.size.saturating_sub(status.available),
            idle: status.available,
        }
    }

    /// Whether its latest connection goes through a pooler that lends sessions for transactions.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.inner.manager().is_pooled()
    }

    /// Checks that the server answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.run("ping", async |connection| {
            connection.batch_execute("SELECT 1").await
        })
        .await
    }
}

/// A connection that is checked out of the pool, with what happens to it in the end.
pub(crate) type PooledConnection = ScopeGuard<Object<Connector>, fn(Object<Connector>)>;

/// Work that is cut off or given up leaves its transaction open. Such a connection is closed instead of
/// returned, so that the server rolls back and frees the locks immediately: the pool itself would notice
/// only at the next checkout.
fn close_if_broken(mut connection: Object<Connector>) {
    if connection.is_broken() {
        drop(Object::take(connection));
    }
}
