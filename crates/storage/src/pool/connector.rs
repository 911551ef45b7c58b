//! Opens the connections of a pool, and checks them before each use.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use diesel::ConnectionError;
use diesel_async::pooled_connection::{PoolableConnection, RecyclingMethod};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::join;
use harkara_settings::Pooler;

use crate::connect::{Session, Target};
use crate::session_settings::SessionSettings;
use crate::{ConnectError, PoolSettings, StorageError};

/// Lets a statement that waits for a lock notice that its client has gone. PostgreSQL 14 and later, so an
/// older server may refuse it.
const CHECK_CLIENT: &str = "SET client_connection_check_interval = '1s'";

/// Opens the connections of a pool.
pub(crate) struct Connector {
    target: Target,
    pooler: Pooler,
    /// The query that sets up a session, unless it goes through a pooler.
    setup: String,
    /// Whether the latest connection goes through a pooler.
    is_pooled: AtomicBool,
    /// Whether a session has shown that it is not ours alone.
    is_shared: AtomicBool,
}

impl Connector {
    pub(super) fn new(settings: &PoolSettings) -> Self {
        let session = SessionSettings::of_pool(settings);
        Self {
            target: Target::new(settings, &session),
            pooler: settings.pooler,
            setup: session.for_session(),
            is_pooled: AtomicBool::new(false),
            is_shared: AtomicBool::new(false),
        }
    }

    /// Whether the latest connection goes through a pooler.
    pub(super) fn is_pooled(&self) -> bool {
        self.is_pooled.load(Ordering::Relaxed)
    }

    async fn open(&self) -> Result<Session, StorageError> {
        let connection = match self.target.connect(self.pooler()).await {
            Err(error) if error.is_shared_session() => {
                self.found_shared();
                self.target.connect(self.pooler()).await?
            }
            connected => connected?,
        };
        let was_pooled = self.is_pooled.swap(connection.is_pooled, Ordering::Relaxed);
        if connection.is_pooled {
            if !was_pooled {
                tracing::info!(
                    "A pooler is between this process and PostgreSQL; nothing outlives its transaction."
                );
            }
            return Ok(connection);
        }
        // Sent together: on a slow link each round trip counts.
        let ((), set_up) = join(
            set_if_allowed(&connection, CHECK_CLIENT),
            (&mut &*connection).batch_execute(&self.setup),
        )
        .await;
        set_up.map_err(|e| ConnectError::Session(ConnectionError::CouldntSetupConfiguration(e)))?;
        Ok(connection)
    }

    /// Remembers that a session is not ours alone, although it looked like a direct one. The next connections, and
    /// those that are used again, go through a pooler, unless the settings deny it.
    pub(super) fn found_shared(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    /// How to treat a new connection.
    fn pooler(&self) -> Pooler {
        match self.pooler {
            Pooler::Auto if self.is_shared.load(Ordering::Relaxed) => Pooler::Transaction,
            set => set,
        }
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
        if self.pooler() == Pooler::Transaction && !connection.is_pooled {
            return Err(RecycleError::message("others use its session"));
        }
        let answered = connection.ping(&RecyclingMethod::Verified).await;
        Ok(answered.map_err(StorageError::statement("ping"))?)
    }
}

/// Sends a setting that the server may refuse, perhaps for the rights of the role.
async fn set_if_allowed(mut connection: &AsyncPgConnection, text: &str) {
    if let Err(error) = connection.batch_execute(text).await {
        tracing::debug!(setting = text, %error, "PostgreSQL refuses an optional session setting.");
    }
}
