//! All open connections: whom to admit, and whom to close.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use harkara_settings::{Networks, Settings};
use harkara_telemetry::catalogue::{INGRESS_CONNECTIONS, INGRESS_CONNECTIONS_CLOSED};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use strum::EnumCount as _;

use tokio::time::MissedTickBehavior;

use super::connection::{Client, Connection, TimeBounds};
use super::reason::Reason;
use super::{ANSWER_WAIT, UNREAD_MAX};
use crate::admission::{RefusedLog, customer};
use crate::descriptors;
use crate::metrics::InFlight;

/// How often connections are checked; one may exceed its bound by this.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// How long a stranger's connection is kept even when slots run short: enough for a TLS handshake and a request
/// over a distance.
const KEPT: Duration = Duration::from_secs(1);

/// The same when there are none left, so that new connections have to wait, and the address is not known.
const KEPT_WHEN_FULL: Duration = Duration::from_millis(250);

/// The part of all slots that is kept free: one in this many. When fewer are free, as many of strangers' oldest
/// connections are closed.
const FREE_PART: usize = 16;

/// When less than one in this many of those is free, there are none left.
const FULL_PART: usize = 4;

/// The part of all slots that is then freed at each check, as nobody knows how many wait: one in this many.
const FREED_WHEN_FULL_PART: usize = 4;

/// Clients with a valid signature that are remembered. If there are more, all are forgotten, and prove
/// themselves again with their next connection.
const SIGNERS_MAX: usize = 4096;

/// The open connections of all server threads.
#[derive(Clone)]
pub(crate) struct OpenConnections(Arc<Shared>);

struct Shared {
    /// The oldest first. Whoever holds this lock may take that of `clients`.
    connections: Mutex<Vec<Weak<Connection>>>,
    clients: Mutex<Clients>,
    limits: Limits,
    /// Every answer closes its connection.
    is_draining: AtomicBool,
    n_open: Gauge,
    closed: [Counter; Reason::COUNT],
    refused_log: RefusedLog,
    shortage_log: descriptors::ShortageLog,
    epoch: Instant,
}

struct Limits {
    slots: usize,
    per_address_max: usize,
    proxies: Networks,
    /// The addresses that endpoints list.
    listed: Vec<Networks>,
    /// Whether every endpoint has a list, so that nobody else is admitted.
    is_listed_only: bool,
    head_bytes_max: usize,
    bounds: TimeBounds,
}

#[derive(Default)]
struct Clients {
    n_open: HashMap<IpAddr, usize>,
    signers: HashSet<IpAddr>,
}

/// The place of a connection among the open ones, which it leaves when this is dropped.
pub(super) struct Slot {
    shared: Arc<Shared>,
    client: IpAddr,
    _open: InFlight,
}

impl OpenConnections {
    /// Raises the limit of open files as far as connections need it.
    pub(crate) fn new(settings: &Settings, registry: &mut Registry) -> Self {
        Self(Arc::new(Shared {
            connections: Mutex::default(),
            clients: Mutex::default(),
            limits: Limits::of(settings),
            is_draining: AtomicBool::new(false),
            n_open: INGRESS_CONNECTIONS.registered(registry, Gauge::default()),
            closed: INGRESS_CONNECTIONS_CLOSED.per_value(registry, Counter::default),
            refused_log: RefusedLog::new(),
            shortage_log: descriptors::ShortageLog::new(),
            epoch: Instant::now(),
        }))
    }

    /// How many connections may be open: `ingress.connections_max`, or fewer if the system permits no more open
    /// files. Further ones wait to be accepted.
    pub(crate) fn slots(&self) -> usize {
        self.0.limits.slots
    }

    /// Makes every answer from now on close its connection, so that clients go elsewhere.
    pub(crate) fn drain(&self) {
        self.0.is_draining.store(true, Relaxed);
    }

    /// Admits a new connection, or `None` if it is to be dropped.
    pub(crate) fn admit(&self, stream: &TcpStream) -> Option<Arc<Connection>> {
        let limits = &self.0.limits;
        // A connection without a peer is closed already.
        let peer = stream.peer_addr().ok()?.ip().to_canonical();
        let is_proxy = limits.proxies.contains(peer);
        let is_listed = limits.listed.iter().any(|list| list.contains(peer));
        if limits.is_listed_only && !is_listed && !is_proxy {
            self.0.refused_log.log(peer);
            return self.0.refuse(Reason::Forbidden);
        }
        let socket = match stream.as_fd().try_clone_to_owned() {
            Ok(socket) => socket.into(),
            Err(error) => {
                self.0.shortage_log.log(&error);
                return None;
            }
        };
        let client = customer(peer);
        let most = if is_proxy {
            usize::MAX
        } else {
            limits.per_address_max
        };
        let Some(has_signed) = lock(&self.0.clients).enter(client, most) else {
            return self.0.refuse(Reason::Address);
        };
        let slot = Slot {
            shared: self.0.clone(),
            client,
            _open: InFlight::new(&self.0.n_open),
        };
        let connection = Connection::new(
            socket,
            slot,
            Client {
                is_proxy,
                is_known: is_listed || has_signed,
            },
            limits.head_bytes_max,
            self.0.epoch,
        );
        let connection = Arc::new(connection);
        lock(&self.0.connections).push(Arc::downgrade(&connection));
        Some(connection)
    }

    /// Closes connections that exceed a bound, until aborted.
    pub(crate) async fn watch(self) {
        let mut checks = tokio::time::interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            checks.tick().await;
            self.close_exceeding();
        }
    }

    fn close_exceeding(&self) {
        let limits = &self.0.limits;
        let now = Instant::now();
        let (mut n_excess, kept) = self.excess();
        let mut exceeding = Vec::new();
        let mut known = Vec::new();
        lock(&self.0.connections).retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            let reason = connection.exceeds(&limits.bounds, now);
            let kept = if connection.is_known() { KEPT } else { kept };
            let is_excess = || n_excess > 0 && connection.is_dispensable(now, kept);
            match reason.or_else(|| is_excess().then_some(Reason::Crowded)) {
                Some(Reason::Crowded) if connection.is_known() => known.push(connection),
                Some(reason) => {
                    n_excess = n_excess.saturating_sub(1);
                    exceeding.push((connection, reason));
                }
                None => {}
            }
            true
        });
        // Those of known addresses only if the others do not suffice.
        let known = known.into_iter().take(n_excess);
        exceeding.extend(known.map(|connection| (connection, Reason::Crowded)));
        // Closing is left until no server thread can wait for the lock.
        for (connection, reason) in exceeding {
            if connection.close() {
                self.0.count(reason);
            }
        }
    }

    /// How many connections are to be closed to make room, of those of unknown addresses that were open for longer than
    /// this.
    fn excess(&self) -> (usize, Duration) {
        let slots = self.0.limits.slots;
        let n_open = usize::try_from(self.0.n_open.get()).unwrap_or(0);
        let (n_free, n_kept_free) = (slots.saturating_sub(n_open), slots.div_ceil(FREE_PART));
        let shortage = descriptors::check_for_one_more();
        if let Err(error) = &shortage {
            self.0.shortage_log.log(error);
        }
        if shortage.is_err() || n_free * FULL_PART < n_kept_free {
            (slots.div_ceil(FREED_WHEN_FULL_PART), KEPT_WHEN_FULL)
        } else {
            (n_kept_free.saturating_sub(n_free), KEPT)
        }
    }
}

impl Limits {
    fn of(settings: &Settings) -> Self {
        let ingress = &settings.ingress;
        let lists = settings.endpoints.values();
        let listed: Vec<Networks> = lists.filter_map(|e| e.allow.clone()).collect();
        Self {
            slots: descriptors::slots(ingress.connections_max),
            per_address_max: match ingress.connections_per_address_max {
                0 => usize::MAX,
                most => most,
            },
            proxies: ingress.trusted_proxies.clone(),
            is_listed_only: listed.len() == settings.endpoints.len(),
            listed,
            head_bytes_max: ingress.header_bytes_max,
            bounds: TimeBounds {
                head: ingress.header_read_timeout + ANSWER_WAIT,
                keep_alive: ingress.keep_alive + ingress.header_read_timeout,
                request: ingress.body_read_timeout
                    + ingress.append_timeout
                    + ingress.inbox_timeout
                    + UNREAD_MAX,
            },
        }
    }
}

impl Shared {
    fn count(&self, reason: Reason) {
        self.closed[reason as usize].inc();
    }

    fn refuse<T>(&self, reason: Reason) -> Option<T> {
        self.count(reason);
        None
    }
}

impl Clients {
    /// Counts a connection of this client, unless it has `most` and never sent a valid signature. Returns whether
    /// it has sent one.
    fn enter(&mut self, client: IpAddr, most: usize) -> Option<bool> {
        let has_signed = self.signers.contains(&client);
        let n_open = self.n_open.entry(client).or_default();
        let enters = *n_open < most || has_signed;
        *n_open += usize::from(enters);
        enters.then_some(has_signed)
    }

    fn leave(&mut self, client: IpAddr) {
        if let Entry::Occupied(mut n_open) = self.n_open.entry(client) {
            *n_open.get_mut() -= 1;
            if *n_open.get() == 0 {
                n_open.remove();
            }
        }
    }

    fn has_signed(&mut self, client: IpAddr) {
        if self.signers.len() >= SIGNERS_MAX {
            self.signers.clear();
        }
        self.signers.insert(client);
    }
}

impl Slot {
    pub(super) fn count(&self, reason: Reason) {
        self.shared.count(reason);
    }

    /// Whether every answer closes its connection.
    pub(super) fn is_draining(&self) -> bool {
        self.shared.is_draining.load(Relaxed)
    }

    /// Remembers that the client sent a valid signature.
    pub(super) fn has_signed(&self) {
        lock(&self.shared.clients).has_signed(self.client);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.shared.clients).leave(self.client);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under either lock leaves its contents in an invalid state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
