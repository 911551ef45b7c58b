//! The state of one connection. Its server thread writes it; the task that closes connections reads it.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use actix_web::http::ConnectionType;
use actix_web::{HttpRequest, HttpResponse};

use super::open_connections::Slot;
use super::reason::Reason;
use crate::answer::Unread;

use super::{
    AHEAD_BYTES, CLOSE_MAX, REQUEST_LINE_BYTES, STEP_BYTES, STRANGER_STEP_BYTES, UNREAD_MAX,
};

/// One connection. It lives as long as the server's own handle.
pub(crate) struct Connection {
    /// A second handle to the socket, which costs a file descriptor: the server shares its own with nobody.
    socket: TcpStream,
    slot: Slot,
    head_bytes_max: usize,
    epoch: Instant,
    /// In milliseconds from the epoch.
    opened_ms: u64,
    /// The phase and its beginning, see [`Connection::phase`].
    phase: AtomicU64,
    /// When a write last found the socket full and nothing was sent since, in milliseconds from the epoch; 0
    /// if the socket takes bytes.
    blocked_ms: AtomicU64,
    /// When an answer closed the connection, in milliseconds from the epoch; 0 while it stays open.
    closing_ms: AtomicU64,
    /// It has sent no valid signature, and is not a trusted proxy's.
    is_stranger: AtomicBool,
    /// Bytes given to the server since it last handled what it had.
    given: AtomicUsize,
    /// Bytes given to the server since the request last took some of its body.
    ahead: AtomicUsize,
    /// Bytes given to the server since its last request began or ended.
    head_bytes: AtomicUsize,
    is_closed: AtomicBool,
    /// To wake when the server may have more.
    starved: Mutex<Option<Waker>>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The TLS handshake, or between two requests.
    Idle,
    /// A part of a head has come.
    Head,
    /// A request is received or answered.
    Request,
}

/// What the server may read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    /// So many bytes, at least 1.
    Bytes(usize),
    /// Nothing before it has handled what it has; the connection wakes the server.
    Later,
    /// Nothing more: the head is larger than `ingress.header_bytes_max`.
    HeadTooLarge,
}

/// A request in progress on its connection; without one, as in a test of the service alone, it does nothing.
pub(crate) struct InRequest(Option<Arc<Connection>>);

/// The bounds of idle time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeBounds {
    /// Of a head, and of a connection before its first valid signature.
    pub(super) head: Duration,
    /// Between two requests, after a valid signature.
    pub(super) keep_alive: Duration,
    /// Of a request, from the end of its head to its answer.
    pub(super) request: Duration,
}

impl Connection {
    pub(super) fn new(
        socket: TcpStream,
        slot: Slot,
        is_proxy: bool,
        head_bytes_max: usize,
        epoch: Instant,
    ) -> Self {
        let connection = Self {
            socket,
            slot,
            head_bytes_max,
            epoch,
            opened_ms: millis(epoch.elapsed()),
            phase: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            closing_ms: AtomicU64::new(0),
            is_stranger: AtomicBool::new(!is_proxy),
            given: AtomicUsize::new(0),
            ahead: AtomicUsize::new(0),
            head_bytes: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            starved: Mutex::default(),
        };
        connection.enter(Phase::Idle);
        connection
    }

    /// What the server may read now. Wakes it later where it has to wait.
    pub(super) fn allowance(&self, context: &Context<'_>) -> Allowance {
        if self.phase().0 == Phase::Request {
            if self.ahead.load(Relaxed) >= AHEAD_BYTES {
                *self.starved() = Some(context.waker().clone());
                return Allowance::Later;
            }
        } else if self.head_bytes.load(Relaxed) > self.head_bytes_max + REQUEST_LINE_BYTES
            && !self.is_closing()
        {
            return Allowance::HeadTooLarge;
        }
        let step = if self.is_stranger() {
            STRANGER_STEP_BYTES
        } else {
            STEP_BYTES
        };
        let given = self.given.load(Relaxed);
        if given < step {
            return Allowance::Bytes(step - given);
        }
        // The server handles what it has before it reads again.
        self.given.store(0, Relaxed);
        context.waker().wake_by_ref();
        Allowance::Later
    }

    /// Records that the server was given bytes.
    pub(super) fn was_given(&self, bytes: usize) {
        for counter in [&self.given, &self.ahead, &self.head_bytes] {
            add(counter, bytes);
        }
        if self.phase().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// Records whether the socket takes bytes.
    pub(super) fn is_blocked(&self, is_blocked: bool) {
        let since = if is_blocked { self.now_ms() } else { 0 };
        self.blocked_ms.store(since, Relaxed);
    }

    /// Lets the server read again, after the request took a part of its body or ended.
    fn may_give_more(&self) {
        self.ahead.store(0, Relaxed);
        if let Some(waker) = self.starved().take() {
            waker.wake();
        }
    }

    /// Records that a head was refused for its size, which closes the connection.
    pub(super) fn refuses_head(&self) {
        self.slot.count(Reason::Head);
        self.closes();
    }

    /// Records that an answer closes the connection.
    fn closes(&self) {
        // The first such answer counts: whoever sends on must not stay longer for it.
        if !self.is_closing() {
            self.closing_ms.store(self.now_ms(), Relaxed);
        }
    }

    fn has_signed(&self) {
        // Once for each connection.
        if self.is_stranger() {
            self.is_stranger.store(false, Relaxed);
            self.slot.has_signed();
        }
    }

    /// Whether it has sent no valid signature, and is not a trusted proxy's.
    fn is_stranger(&self) -> bool {
        self.is_stranger.load(Relaxed)
    }

    /// How long it has been open, if it may be closed to make room: a stranger's. What a stranger sends is
    /// not accepted, and a delivery is made durable only after its sender is no stranger.
    pub(super) fn dispensable_for(&self) -> Option<Duration> {
        let open_ms = self.now_ms().saturating_sub(self.opened_ms);
        self.is_stranger().then(|| Duration::from_millis(open_ms))
    }

    /// The bound that the connection exceeds.
    pub(super) fn exceeds(&self, bounds: &TimeBounds) -> Option<Reason> {
        let now_ms = self.now_ms();
        let exceeds = |since_ms: u64, bound: Duration| {
            since_ms != 0 && u128::from(now_ms.saturating_sub(since_ms)) > bound.as_millis()
        };
        if exceeds(self.blocked_ms.load(Relaxed), UNREAD_MAX) {
            return Some(Reason::Unread);
        }
        if exceeds(self.closing_ms.load(Relaxed), CLOSE_MAX) {
            return Some(Reason::Closing);
        }
        let (phase, since_ms) = self.phase();
        let (bound, reason) = match phase {
            Phase::Idle if !self.is_stranger() => (bounds.keep_alive, Reason::Idle),
            Phase::Idle => (bounds.head, Reason::Idle),
            Phase::Head => (bounds.head, Reason::Head),
            Phase::Request => (bounds.request, Reason::Request),
        };
        exceeds(since_ms, bound).then_some(reason)
    }

    /// Closes the connection, which the server notices. Returns whether it was still open.
    pub(super) fn close(&self) -> bool {
        // It fails if the client has closed it already.
        !self.is_closed.swap(true, Relaxed) && self.socket.shutdown(Shutdown::Both).is_ok()
    }

    fn is_closing(&self) -> bool {
        self.closing_ms.load(Relaxed) != 0
    }

    /// The phase, and when it began in milliseconds from the epoch. Both are in one word, so that a reader
    /// never sees the one without the other.
    fn phase(&self) -> (Phase, u64) {
        let word = self.phase.load(Relaxed);
        let phase = match word & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Request,
        };
        (phase, word >> 2)
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(self.now_ms() << 2 | phase as u64, Relaxed);
    }

    /// Milliseconds from the epoch, at least 1.
    fn now_ms(&self) -> u64 {
        millis(self.epoch.elapsed()) + 1
    }

    fn starved(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        // No code under the lock leaves it in an invalid state.
        self.starved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InRequest {
    /// Begins a request of its connection.
    pub(crate) fn begin(request: &HttpRequest) -> Self {
        let connection = request.conn_data::<Arc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.head_bytes.store(0, Relaxed);
            connection.ahead.store(0, Relaxed);
            connection.enter(Phase::Request);
        }
        Self(connection)
    }

    /// Records that the request took a part of its body.
    pub(crate) fn took(&self) {
        if let Some(connection) = &self.0 {
            connection.may_give_more();
        }
    }

    /// Records a valid signature: the client is no stranger.
    pub(crate) fn has_signed(&self) {
        if let Some(connection) = &self.0 {
            connection.has_signed();
        }
    }

    /// Ends the request. The answer to a stranger closes the connection, which keeps no sender of deliveries
    /// waiting: no stranger gets a 2xx. So does one to a request whose body was not read.
    pub(crate) fn ends_with(self, mut response: HttpResponse) -> HttpResponse {
        let has_unread = response.extensions().get::<Unread>().is_some();
        if let Some(connection) = &self.0
            && (has_unread || connection.is_stranger() || connection.is_closing())
        {
            response
                .head_mut()
                .set_connection_type(ConnectionType::Close);
            connection.closes();
        }
        response
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.head_bytes.store(0, Relaxed);
            connection.enter(Phase::Idle);
            connection.may_give_more();
        }
    }
}

/// Only the connection's server thread adds.
fn add(counter: &AtomicUsize, n: usize) {
    counter.store(counter.load(Relaxed).saturating_add(n), Relaxed);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 3)
}
