//! Closes idle connections.
//!
//! The server bounds the head of a connection's first request and the idle time between two requests. But
//! once a byte of a further head has arrived it waits for the rest without a bound, and likewise for a
//! client that does not read its answers. Enough of those would hold all of `ingress.connections_max`.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as ServerStream;
use harkara_settings::IngressSettings;

/// How long a client may leave an answer unread. Razorpay has given up on its request by then. Until the
/// connection is closed, the server busily retries to process the requests behind it.
#[cfg(target_os = "linux")]
const UNREAD_MAX: Duration = Duration::from_secs(5);

/// How often connections are checked; a connection may exceed its bound by this.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The open connections.
#[derive(Clone)]
pub(crate) struct Connections {
    open: Arc<Mutex<Vec<Weak<Connection>>>>,
    epoch: Instant,
    idle_max: Duration,
}

/// One connection. It lives as long as the server's own handle.
struct Connection {
    /// A second handle to the socket, which costs a file descriptor: the server does not share its own.
    socket: TcpStream,
    epoch: Instant,
    /// When it was opened or its latest request began, in milliseconds from the epoch.
    active_at_ms: AtomicU64,
}

impl Connections {
    /// Connections that may be idle for as long as one request, the keep-alive and the head of the next
    /// request take together.
    pub(crate) fn of(settings: &IngressSettings) -> Self {
        Self {
            open: Arc::default(),
            epoch: Instant::now(),
            idle_max: settings.body_read_timeout
                + settings.append_timeout
                + settings.inbox_timeout
                + settings.keep_alive
                + settings.header_read_timeout,
        }
    }

    /// Tracks a new connection; for the server's hook.
    pub(crate) fn opened(&self, stream: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = tcp_stream(stream) else {
            return;
        };
        limit_unread(stream);
        match stream.as_fd().try_clone_to_owned() {
            Ok(socket) => {
                let connection = Arc::new(Connection {
                    socket: socket.into(),
                    epoch: self.epoch,
                    active_at_ms: AtomicU64::new(millis(self.epoch.elapsed())),
                });
                self.lock().push(Arc::downgrade(&connection));
                extensions.insert(connection);
            }
            // It is served: a connection that may stay too long is better than a lost delivery.
            Err(error) => {
                tracing::warn!(
                    error = %error,
                    "Cannot track a connection; are there enough file descriptors?"
                );
            }
        }
    }

    /// Closes idle connections, until aborted.
    pub(crate) async fn close_idle(self) {
        let mut checks = tokio::time::interval(CHECK_EVERY);
        loop {
            checks.tick().await;
            let n_closed = self.close_idle_now();
            if n_closed > 0 {
                tracing::debug!(connections = n_closed, "Closed idle connections.");
            }
        }
    }

    /// Closes idle connections and returns their number. Forgets those that the server has closed.
    fn close_idle_now(&self) -> usize {
        let idle_before = millis(self.epoch.elapsed().saturating_sub(self.idle_max));
        let mut n_closed = 0;
        self.lock().retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            let is_idle = connection.active_at_ms.load(Relaxed) < idle_before;
            // It fails if the client has closed it already.
            if is_idle && connection.socket.shutdown(Shutdown::Both).is_ok() {
                n_closed += 1;
            }
            !is_idle
        });
        n_closed
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        // No code under the lock leaves the list in an invalid state.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket of the connection that the server's hook is given: plain or within TLS.
fn tcp_stream(stream: &dyn Any) -> Option<&ServerStream> {
    let within_tls = || Some(stream.downcast_ref::<TlsStream<_>>()?.get_ref().0);
    stream.downcast_ref().or_else(within_tls)
}

/// Makes the system close the connection when its client stops reading.
#[cfg(target_os = "linux")]
fn limit_unread(stream: &ServerStream) {
    let bound_ms = u32::try_from(UNREAD_MAX.as_millis()).expect("some seconds");
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, bound_ms) {
        tracing::debug!(error = %error, "Cannot set TCP_USER_TIMEOUT on a connection.");
    }
}

/// Only Linux bounds it; elsewhere such a connection is closed as an idle one.
#[cfg(not(target_os = "linux"))]
fn limit_unread(_: &ServerStream) {}

/// Records that a request of this connection begins.
pub(crate) fn mark_active(request: &HttpRequest) {
    if let Some(connection) = request.conn_data::<Arc<Connection>>() {
        let now_ms = millis(connection.epoch.elapsed());
        connection.active_at_ms.store(now_ms, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
