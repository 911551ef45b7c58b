//! Connections to PostgreSQL.

use std::time::Duration;

use deadpool::managed::{
    self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult, TimeoutType,
};
use diesel::{ConnectionError, QueryResult};
use diesel_async::methods::LoadQuery;
use diesel_async::pooled_connection::{PoolableConnection, RecyclingMethod};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::join;
use harkara_core::secret::Secret;
use harkara_settings::PostgresSettings;
use harkara_tls::ClientTls;
use scopeguard::{ScopeGuard, guard};

use crate::connect::{Session, connect};
use crate::statement_times::Named;
use crate::{ConnectError, StorageError};

/// How to connect, and the bounds of waiting.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// `postgres://…`.
    pub url: Secret,
    /// How to verify the server; without it, the connection is plain.
    pub tls: Option<ClientTls>,
    /// Shown in `pg_stat_activity`.
    pub application: &'static str,
    /// Maximum open connections.
    pub connections_max: usize,
    /// Longest wait for a connection, new or returned.
    pub connect_timeout: Duration,
    /// Longest time the server may spend on one statement, and wait for the next one of a transaction:
    /// a stalled worker must not keep its locks.
    pub statement_timeout: Duration,
}

impl PoolSettings {
    /// How a process connects to the PostgreSQL of the settings, under the name `application`.
    #[must_use]
    pub fn of(settings: &PostgresSettings, application: &'static str) -> Self {
        Self {
            url: settings.url.clone(),
            tls: settings.tls.clone(),
            application,
            connections_max: settings.pool_max,
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
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

/// Lets a statement that waits for a lock notice that its client has gone. PostgreSQL 14 and later, so an
/// older server may refuse it.
const CHECK_CLIENT: &str = "SET client_connection_check_interval = '1s'";

/// A 200 or an acknowledgement rests on a commit, so none is confirmed before it is on disk, whatever the
/// default of the server, the database or the role. Levels that wait for replicas are kept.
const WAIT_FOR_COMMITS: &str = "SELECT set_config('synchronous_commit', \
     CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
     ELSE current_setting('synchronous_commit') END, false)";

/// The bound of one operation, in statement timeouts. A statement usually takes a thousandth of one; an
/// operation that takes longer is cut off, as it is on a silent network, and tried again with less at a time.
const TRANSACTION_STATEMENTS: u32 = 2;

/// Opens the connections of a pool.
pub(crate) struct Connector {
    url: Secret,
    tls: Option<ClientTls>,
    /// Statements that set up a session.
    setup: String,
}

impl Connector {
    async fn open(&self) -> Result<Session, StorageError> {
        let connection = connect(&self.url, self.tls.as_ref()).await?;
        // Sent together: on a slow link each round trip counts.
        let ((), set_up) = join(
            set_if_allowed(&connection, CHECK_CLIENT),
            (&mut &*connection).batch_execute(&self.setup),
        )
        .await;
        set_up.map_err(|e| ConnectError::Session(ConnectionError::CouldntSetupConfiguration(e)))?;
        Ok(connection)
    }
}

impl Manager for Connector {
    type Type = Session;
    type Error = StorageError;

    async fn create(&self) -> Result<Session, StorageError> {
        // Boxed, so that the futures of all operations, which may have to connect first, stay small.
        Box::pin(self.open()).await
    }

    async fn recycle(&self, connection: &mut Session, _: &Metrics) -> RecycleResult<StorageError> {
        if connection.is_broken() {
            return Err(RecycleError::message("broken"));
        }
        let answered = connection.ping(&RecyclingMethod::Verified).await;
        Ok(answered.map_err(StorageError::statement("ping"))?)
    }
}

impl Pool {
    /// Builds a pool without connecting, so this succeeds while the server is unavailable.
    pub fn new(settings: &PoolSettings) -> Result<Self, StorageError> {
        Self::with_setup(settings, "")
    }

    /// The same with a bound on each wait for a lock, at most half the timeout of a statement: one that waits
    /// longer fails for this reason.
    pub fn with_lock_timeout(
        settings: &PoolSettings,
        lock_timeout: Duration,
    ) -> Result<Self, StorageError> {
        let lock_timeout = lock_timeout.min(settings.statement_timeout / 2);
        let setup = format!("SET lock_timeout = {}; ", lock_timeout.as_millis());
        Self::with_setup(settings, &setup)
    }

    fn with_setup(settings: &PoolSettings, more: &str) -> Result<Self, StorageError> {
        let timeout_ms = settings.statement_timeout.as_millis();
        let connector = Connector {
            url: settings.url.clone(),
            tls: settings.tls.clone(),
            setup: format!(
                "{more}SET statement_timeout = {timeout_ms}; \
                 SET idle_in_transaction_session_timeout = {timeout_ms}; \
                 SET application_name = '{}'; SET timezone = 'UTC'; {WAIT_FOR_COMMITS}",
                settings.application
            ),
        };
        let inner = managed::Pool::builder(connector)
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
    /// its transaction. When it failed because its session is read-only, all connections of the pool are
    /// closed: theirs may be too, even once the database can be written to.
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
        if result.as_ref().is_err_and(StorageError::is_read_only) {
            self.inner.retain(|_, _| false);
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

/// Sends a setting that the server may refuse, perhaps for the rights of the role.
async fn set_if_allowed(mut connection: &AsyncPgConnection, text: &str) {
    if let Err(error) = connection.batch_execute(text).await {
        tracing::debug!(setting = text, %error, "PostgreSQL refuses an optional session setting.");
    }
}
