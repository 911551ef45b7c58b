//! Ends connections that hold a place and bring no requests.
//!
//! The server bounds the head of the first request of a connection and the quiet time between two. But
//! once a byte of a further head has come it waits for the rest without a bound, and likewise for a
//! client that does not take its answers. Enough of those would hold all of `ingress.connections_max`
//! for ever.

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

/// How long a client may leave what it was sent without taking it. Razorpay has given up on its request
/// by then. The server would try to go on with the requests behind it, again and again, all the time.
#[cfg(target_os = "linux")]
const UNTAKEN_MAX: Duration = Duration::from_secs(5);

/// How often connections are looked at; so much longer than the bound one may stay.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The connections that are open.
#[derive(Clone)]
pub(crate) struct Connections {
    open: Arc<Mutex<Vec<Weak<Connection>>>>,
    epoch: Instant,
    idle_max: Duration,
}

/// One connection, for as long as the server has it.
struct Connection {
    /// A second handle to the socket. It costs a file descriptor; the server gives its own to nobody.
    socket: TcpStream,
    epoch: Instant,
    /// When it was opened or the last request began, in milliseconds from the epoch.
    busy_at_ms: AtomicU64,
}

impl Connections {
    /// A connection without a new request for `idle_max` is ended. That must be longer than a request,
    /// the quiet time that the server allows and the head of the next request take together.
    pub(crate) fn new(idle_max: Duration) -> Self {
        Self {
            open: Arc::default(),
            epoch: Instant::now(),
            idle_max,
        }
    }

    /// Takes note of a new connection; for the server's hook.
    pub(crate) fn opened(&self, stream: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = tcp_stream(stream) else {
            return;
        };
        end_untaken(stream);
        match stream.as_fd().try_clone_to_owned() {
            Ok(socket) => {
                let connection = Arc::new(Connection {
                    socket: socket.into(),
                    epoch: self.epoch,
                    busy_at_ms: AtomicU64::new(millis(self.epoch.elapsed())),
                });
                self.lock().push(Arc::downgrade(&connection));
                extensions.insert(connection);
            }
            // Served all the same: rather one that may stay too long than a delivery lost.
            Err(error) => {
                tracing::warn!(
                    error = %error,
                    "A connection cannot be watched; are there enough file descriptors?"
                );
            }
        }
    }

    /// Ends quiet connections, for ever.
    pub(crate) async fn close_idle(self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let n_ended = self.look();
            if n_ended > 0 {
                tracing::debug!(connections = n_ended, "Ended connections without requests.");
            }
        }
    }

    /// Forgets what the server has closed, and gives how many connections were ended.
    fn look(&self) -> usize {
        let quiet_from = millis(self.epoch.elapsed().saturating_sub(self.idle_max));
        let mut n_ended = 0;
        self.lock().retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            let is_quiet = connection.busy_at_ms.load(Relaxed) < quiet_from;
            // It fails where the client has ended it already.
            if is_quiet && connection.socket.shutdown(Shutdown::Both).is_ok() {
                n_ended += 1;
            }
            !is_quiet
        });
        n_ended
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        // Nothing that is done under the lock leaves the list half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server's hook is given: a connection, or a connection within TLS.
fn tcp_stream(stream: &dyn Any) -> Option<&ServerStream> {
    let within_tls = || {
        Some(
            stream
                .downcast_ref::<TlsStream<ServerStream>>()?
                .get_ref()
                .0,
        )
    };
    stream.downcast_ref().or_else(within_tls)
}

/// Has the system end the connection when its client takes nothing more.
#[cfg(target_os = "linux")]
fn end_untaken(stream: &ServerStream) {
    let bound_ms = u32::try_from(UNTAKEN_MAX.as_millis()).expect("some seconds");
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, bound_ms) {
        tracing::debug!(error = %error, "A connection has no TCP_USER_TIMEOUT.");
    }
}

/// Only Linux bounds it; elsewhere such a connection is ended as a quiet one.
#[cfg(not(target_os = "linux"))]
fn end_untaken(_: &ServerStream) {}

/// Takes note that a request of this connection begins.
pub(crate) fn mark_active(request: &HttpRequest) {
    if let Some(connection) = request.conn_data::<Arc<Connection>>() {
        let now_ms = millis(connection.epoch.elapsed());
        connection.busy_at_ms.store(now_ms, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
