//! One connection that many callers share, and that reconnects by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult};
use tokio::task::AbortHandle;

use harkara_settings::RedisSettings;

use crate::deployment::Deployment;
use crate::unknown_command::without_arguments;

/// The wait before the second attempt to connect, after which the waiting commands fail. It bounds how often
/// a busy process tries to reach a server that is down.
const RECONNECT_WAIT: Duration = Duration::from_millis(100);

/// Commands buffered before callers wait. A server thread seldom has more requests than this in one turn of
/// its event loop.
const PIPELINE_BUFFER_COMMANDS: usize = 1024;

/// A suspect connection is replaced at most this often, so that a server that refuses commands is not also
/// flooded with connections.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// A shared connection. Commands are pipelined; none waits for another's answer.
///
/// After a connection was lost or could not be made, the next command connects again. A connection whose
/// server only refuses commands (a primary that became a replica, for example) looks healthy from here and
/// would fail forever, hence [`SharedConnection::suspect`]. A server with the streams of another deployment, to
/// which the address may lead by now, is not used.
pub(crate) struct SharedConnection {
    settings: Arc<RedisSettings>,
    deployment: Deployment,
    current: Mutex<Option<Current>>,
}

/// A connection or an attempt to connect.
struct Current {
    connecting: Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>,
    /// Drives the attempt even if its callers give up.
    driver: AbortHandle,
    started_at: Instant,
    is_lost: Arc<AtomicBool>,
}

/// Returns a shared connection that connects with the first command.
#[must_use]
pub(crate) fn connect_shared(
    settings: &RedisSettings,
    deployment: &Deployment,
) -> SharedConnection {
    SharedConnection {
        settings: Arc::new(settings.clone()),
        deployment: deployment.clone(),
        current: Mutex::new(None),
    }
}

impl SharedConnection {
    /// Returns the connection for one or more commands, connecting first if needed. While the server is down,
    /// all callers wait for the same attempt.
    ///
    /// The caller bounds this wait and its commands, see [`RedisSettings::response_timeout`]. (A timer here
    /// would be a second one on the hot path.) Must always be called within the same tokio runtime.
    pub(crate) async fn handle(&self) -> RedisResult<MultiplexedConnection> {
        let connecting = {
            let mut current = self.current();
            if current.as_ref().is_some_and(Current::is_over) {
                *current = None;
            }
            let current =
                current.get_or_insert_with(|| Current::start(&self.settings, &self.deployment));
            current.connecting.clone()
        };
        connecting.await
    }

    /// Call this after a command failed or timed out, whatever the error: the next handle may then use a new
    /// connection. Commands in flight on the old one are not affected.
    pub(crate) fn suspect(&self) {
        self.current()
            .take_if(|current| current.started_at.elapsed() >= RENEW_EVERY);
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn start(settings: &Arc<RedisSettings>, deployment: &Deployment) -> Self {
        let is_lost = Arc::new(AtomicBool::new(false));
        let connecting = connect(settings.clone(), deployment.clone(), is_lost.clone());
        let connecting = connecting.boxed().shared();
        let driver = tokio::spawn(connecting.clone().map(drop)).abort_handle();
        Self {
            connecting,
            driver,
            started_at: Instant::now(),
            is_lost,
        }
    }

    /// Whether to reconnect immediately: the connection was lost, or the server was unreachable. A refusal is
    /// retried only after [`SharedConnection::suspect`].
    fn is_over(&self) -> bool {
        let unreachable = || matches!(self.connecting.peek(), Some(Err(e)) if e.is_io_error());
        self.is_lost.load(Ordering::Relaxed) || unreachable()
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn connect(
    settings: Arc<RedisSettings>,
    deployment: Deployment,
    is_lost: Arc<AtomicBool>,
) -> RedisResult<MultiplexedConnection> {
    // RESP3 reports a lost connection immediately, not with the next command.
    let client = crate::connect::client(&settings, ProtocolVersion::RESP3);
    let on_push = move |push: PushInfo| {
        is_lost.fetch_or(push.kind == PushKind::Disconnection, Ordering::Relaxed);
        Ok::<_, std::convert::Infallible>(())
    };
    let config = crate::connect::connection_config(&settings)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(PIPELINE_BUFFER_COMMANDS)
        .set_push_sender(on_push);
    let attempt = async || {
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await?;
        let found = deployment.read_mark(&mut connection).await?;
        match deployment.judge(found) {
            Ok(()) => Ok(connection),
            Err(foreign) => Err(RedisError::from((
                ErrorKind::Client,
                "refused the connection",
                foreign.to_string(),
            ))),
        }
    };
    if let Ok(connection) = attempt().await {
        return Ok(connection);
    }
    tokio::time::sleep(RECONNECT_WAIT).await;
    attempt().await.map_err(without_arguments)
}
