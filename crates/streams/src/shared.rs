//! One connection that many callers use at once, and that heals itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{ProtocolVersion, PushInfo, PushKind, RedisResult};
use tokio::task::AbortHandle;

use harkara_settings::RedisSettings;

/// The wait before the second attempt to connect, after which the commands that wait for it fail. It
/// bounds how often a busy process knocks on a server that is down.
const RECONNECT_WAIT: Duration = Duration::from_millis(100);

/// Commands that may wait to be written before callers have to wait themselves. A server thread
/// seldom has more requests than this in one turn of its event loop.
const PIPELINE_BUFFER_COMMANDS: usize = 1024;

/// A suspect connection is replaced at most this often, so that a server that refuses commands is
/// not flooded with connections too.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// A shared connection. Commands are pipelined; none waits for another's answer.
///
/// A connection that was lost, or that could not be made, is followed by another with the next command.
/// One that only refuses looks sound from here (a primary that became a replica, a server that turned us
/// away while connecting) and would give the same error for ever. Hence [`SharedConnection::suspect`].
pub struct SharedConnection {
    settings: Arc<RedisSettings>,
    current: Mutex<Option<Current>>,
}

/// A connection, or the making of one.
struct Current {
    connecting: Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>,
    /// It does not wait for its callers, who may give up.
    moved_by: AbortHandle,
    begun_at: Instant,
    is_lost: Arc<AtomicBool>,
}

/// A shared connection that connects with the first command.
#[must_use]
pub fn connect_shared(settings: &RedisSettings) -> SharedConnection {
    SharedConnection {
        settings: Arc::new(settings.clone()),
        current: Mutex::new(None),
    }
}

impl SharedConnection {
    /// The connection, for one or more commands; made first, if there is none. While the server is down
    /// all callers wait for the same attempt.
    ///
    /// This wait and the commands must be bounded by the caller: see
    /// [`RedisSettings::response_timeout`]. (A timer inside would be a second one on the hot path.)
    /// To be called within one and the same tokio runtime.
    pub async fn handle(&self) -> RedisResult<MultiplexedConnection> {
        let connecting = {
            let mut current = self.current();
            if current.as_ref().is_some_and(Current::is_over) {
                *current = None;
            }
            let current = current.get_or_insert_with(|| Current::begin(&self.settings));
            current.connecting.clone()
        };
        connecting.await
    }

    /// To be called after a command failed or timed out, whatever the error: the next handle may
    /// then be of a new connection. Commands in flight on the old one are not disturbed.
    pub fn suspect(&self) {
        self.current()
            .take_if(|current| current.begun_at.elapsed() >= RENEW_EVERY);
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn begin(settings: &Arc<RedisSettings>) -> Self {
        let is_lost = Arc::new(AtomicBool::new(false));
        let connecting = connect(settings.clone(), is_lost.clone()).boxed().shared();
        let moved_by = tokio::spawn(connecting.clone().map(drop)).abort_handle();
        Self {
            connecting,
            moved_by,
            begun_at: Instant::now(),
            is_lost,
        }
    }

    /// Whether another is to be made at once: this one was lost, or nobody was there. What the server
    /// refuses is asked again only when suspected.
    fn is_over(&self) -> bool {
        let unreachable = || matches!(self.connecting.peek(), Some(Err(e)) if e.is_io_error());
        self.is_lost.load(Ordering::Relaxed) || unreachable()
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        self.moved_by.abort();
    }
}

async fn connect(
    settings: Arc<RedisSettings>,
    is_lost: Arc<AtomicBool>,
) -> RedisResult<MultiplexedConnection> {
    // With RESP3 we learn of a lost connection at once, not with the next command.
    let client = crate::connect::client(&settings, ProtocolVersion::RESP3);
    let on_push = move |told: PushInfo| {
        is_lost.fetch_or(told.kind == PushKind::Disconnection, Ordering::Relaxed);
        Ok::<_, std::convert::Infallible>(())
    };
    let config = crate::connect::connection_config(&settings)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(PIPELINE_BUFFER_COMMANDS)
        .set_push_sender(on_push);
    let attempt = || client.get_multiplexed_async_connection_with_config(&config);
    if let Ok(connection) = attempt().await {
        return Ok(connection);
    }
    tokio::time::sleep(RECONNECT_WAIT).await;
    attempt().await
}
