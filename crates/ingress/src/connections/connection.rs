//! The state of one connection. Its server thread writes it; the task that closes connections reads it.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::Context;
use std::time::{Duration, Instant};

use super::intake::{Allowance, Intake};
use super::open_connections::Slot;
use super::reason::Reason;
use super::{CLOSE_MAX, REQUEST_LINE_BYTES, UNREAD_MAX};

/// One connection. It lives as long as the server's own handle.
pub(crate) struct Connection {
    /// A second handle to the socket, which costs a file descriptor: the server shares its own with nobody.
    socket: TcpStream,
    slot: Slot,
    head_bytes_max: usize,
    epoch: Instant,
    /// In milliseconds from the epoch.
    opened_ms: u64,
    /// An endpoint lists its address, or that has sent a valid signature before.
    is_known: bool,
    /// The phase and its beginning, see [`Connection::phase`].
    phase: AtomicU64,
    /// When a write last found the socket full and nothing was sent since, in milliseconds from the epoch; 0
    /// if the socket takes bytes.
    blocked_ms: AtomicU64,
    /// When an answer closed the connection, in milliseconds from the epoch; 0 while it stays open.
    closing_ms: AtomicU64,
    /// It has sent no valid signature, and is not a trusted proxy's.
    is_stranger: AtomicBool,
    intake: Intake,
    is_closed: AtomicBool,
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

/// What is known of the client when it connects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) is_proxy: bool,
    /// An endpoint lists its address, or that has sent a valid signature before.
    pub(super) is_known: bool,
}

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
        client: Client,
        head_bytes_max: usize,
        epoch: Instant,
    ) -> Self {
        let connection = Self {
            socket,
            slot,
            head_bytes_max,
            epoch,
            opened_ms: millis(epoch.elapsed()),
            is_known: client.is_known,
            phase: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            closing_ms: AtomicU64::new(0),
            is_stranger: AtomicBool::new(!client.is_proxy),
            intake: Intake::default(),
            is_closed: AtomicBool::new(false),
        };
        connection.enter(Phase::Idle);
        connection
    }

    /// Records that the TLS handshake is over, which had a time of its own.
    pub(super) fn handshake_ends(&self) {
        self.enter(Phase::Idle);
    }

    /// What the server may read now. Wakes it later where it has to wait.
    pub(super) fn allowance(&self, context: &Context<'_>) -> Allowance {
        let head_max = self.head_bytes_max + REQUEST_LINE_BYTES;
        match self.phase_unless_discarding() {
            Some(phase) => self.intake.allowance(phase, head_max, context),
            None => self.intake.allowance_to_discard(context),
        }
    }

    /// Records that the server was given bytes.
    pub(super) fn was_given(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let Some(phase) = self.phase_unless_discarding() else {
            return self.intake.was_given_to_discard(bytes);
        };
        self.intake.was_given(phase, bytes);
        if phase == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// Records that the client has sent no more yet.
    pub(super) fn ran_dry(&self) {
        self.intake.ran_dry(self.phase().0);
    }

    /// The bytes that the server is given.
    pub(super) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Records that a request begins.
    pub(super) fn request_begins(&self) {
        self.intake.request_begins();
        self.enter(Phase::Request);
    }

    /// Records that a request ends.
    pub(super) fn request_ends(&self) {
        self.enter(Phase::Idle);
        self.intake.request_ends();
    }

    /// Records whether the socket takes bytes.
    pub(super) fn is_blocked(&self, is_blocked: bool) {
        let since = if is_blocked { self.now_ms() } else { 0 };
        self.blocked_ms.store(since, Relaxed);
    }

    /// Records that a head was refused for its size, which closes the connection.
    pub(super) fn refuses_head(&self) {
        self.slot.count(Reason::Head);
        self.closes();
    }

    /// Records that an answer closes the connection.
    pub(super) fn closes(&self) {
        // The first such answer counts: whoever sends on must not stay longer for it.
        if !self.is_closing() {
            self.closing_ms.store(self.now_ms(), Relaxed);
        }
    }

    /// Records a valid signature: the client is no stranger.
    pub(super) fn has_signed(&self) {
        // Once for each connection.
        if self.is_stranger() {
            self.is_stranger.store(false, Relaxed);
            self.slot.has_signed();
        }
    }

    /// Whether it has sent no valid signature, and is not a trusted proxy's.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_stranger.load(Relaxed)
    }

    /// Whether it may be closed to make room: a stranger's that was open for longer than this. What a stranger sends
    /// is not accepted, and a delivery is made durable only after its sender is no stranger.
    pub(super) fn is_dispensable(&self, now: Instant, kept: Duration) -> bool {
        let open_ms = self.millis_at(now).saturating_sub(self.opened_ms);
        self.is_stranger() && u128::from(open_ms) > kept.as_millis()
    }

    /// Whether an endpoint lists its address, or that had sent a valid signature before.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The bound that the connection exceeds.
    pub(super) fn exceeds(&self, bounds: &TimeBounds, now: Instant) -> Option<Reason> {
        let now_ms = self.millis_at(now);
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

    /// Whether the ingress is draining, so that every answer closes its connection.
    pub(super) fn is_draining(&self) -> bool {
        self.slot.is_draining()
    }

    /// Whether an answer closes the connection.
    pub(super) fn is_closing(&self) -> bool {
        self.closing_ms.load(Relaxed) != 0
    }

    /// The phase; `None` after the answer that closes the connection.
    fn phase_unless_discarding(&self) -> Option<Phase> {
        let phase = self.phase().0;
        (phase == Phase::Request || !self.is_closing()).then_some(phase)
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
        self.millis_at(Instant::now())
    }

    fn millis_at(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.epoch)) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 3)
}
