//! All open connections: whom to admit, and whom to close.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use harkara_settings::{Networks, Settings};
use harkara_telemetry::catalogue::{INGRESS_CONNECTIONS, INGRESS_CONNECTIONS_CLOSED};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use strum::EnumCount as _;

use super::connection::{Connection, TimeBounds};
use super::reason::Reason;
use tokio::time::MissedTickBehavior;

use super::{ANSWER_WAIT, UNREAD_MAX};
use crate::admission::{RefusedLog, customer};
use crate::metrics::{Counters, InFlight};

/// How often connections are checked; one may exceed its bound by this.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// How long a stranger's connection is kept even when slots run short: enough for a TLS handshake and a request
/// over a distance.
const GRACE: Duration = Duration::from_secs(1);

/// The part of all slots that is kept free: one in this many. When fewer are free, strangers' oldest
/// connections are closed.
const FREE_PART: usize = 16;

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
    n_open: Gauge,
    closed: [Counter; Reason::COUNT],
    counters: Counters,
    refused_log: RefusedLog,
    epoch: Instant,
}

struct Limits {
    /// Connections above which strangers' are closed.
    crowded_above: i64,
    per_address_max: usize,
    proxies: Networks,
    /// The only clients, if every endpoint has a list.
    allow: Option<Vec<Networks>>,
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
    pub(crate) fn new(settings: &Settings, counters: Counters, registry: &mut Registry) -> Self {
        Self(Arc::new(Shared {
            connections: Mutex::default(),
            clients: Mutex::default(),
            limits: Limits::of(settings),
            n_open: INGRESS_CONNECTIONS.registered(registry, Gauge::default()),
            closed: INGRESS_CONNECTIONS_CLOSED.per_value(registry, Counter::default),
            counters,
            refused_log: RefusedLog::new(),
            epoch: Instant::now(),
        }))
    }

    /// Admits a new connection, or `None` if it is to be dropped.
    pub(crate) fn admit(&self, stream: &TcpStream) -> Option<Arc<Connection>> {
        let limits = &self.0.limits;
        // A connection without a peer is closed already.
        let peer = stream.peer_addr().ok()?.ip().to_canonical();
        let is_proxy = limits.proxies.contains(peer);
        if !is_proxy && !limits.allows(peer) {
            self.0.counters.forbidden();
            self.0.refused_log.log(peer);
            return self.0.refuse(Reason::Forbidden);
        }
        let client = customer(peer);
        let socket = match stream.as_fd().try_clone_to_owned() {
            Ok(socket) => socket.into(),
            Err(error) => {
                tracing::warn!(
                    error = %error,
                    "Cannot accept a connection; are there enough file descriptors?"
                );
                return None;
            }
        };
        let most = if is_proxy {
            usize::MAX
        } else {
            limits.per_address_max
        };
        if !lock(&self.0.clients).enter(client, most) {
            return self.0.refuse(Reason::Address);
        }
        let slot = Slot {
            shared: self.0.clone(),
            client,
            _open: InFlight::new(&self.0.n_open),
        };
        let connection =
            Connection::new(socket, slot, is_proxy, limits.head_bytes_max, self.0.epoch);
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
        let mut n_excess = self.0.n_open.get() - limits.crowded_above;
        let mut exceeding = Vec::new();
        lock(&self.0.connections).retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            let had_its_time = connection
                .dispensable_for()
                .is_some_and(|time| time >= GRACE);
            let reason = connection.exceeds(&limits.bounds);
            let reason = reason.or((n_excess > 0 && had_its_time).then_some(Reason::Crowded));
            if let Some(reason) = reason {
                n_excess -= 1;
                exceeding.push((connection, reason));
            }
            true
        });
        // Closing is left until no server thread can wait for the lock.
        for (connection, reason) in exceeding {
            if connection.close() {
                self.0.count(reason);
            }
        }
    }
}

impl Limits {
    fn of(settings: &Settings) -> Self {
        let ingress = &settings.ingress;
        let n_free = ingress.connections_max.div_ceil(FREE_PART);
        let allow = settings
            .endpoints
            .values()
            .map(|endpoint| endpoint.allow.clone());
        Self {
            crowded_above: i64::try_from(ingress.connections_max - n_free).unwrap_or(i64::MAX),
            per_address_max: match ingress.connections_per_address_max {
                0 => usize::MAX,
                most => most,
            },
            proxies: ingress.trusted_proxies.clone(),
            allow: allow.collect(),
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

    fn allows(&self, client: IpAddr) -> bool {
        let contains = |lists: &Vec<Networks>| lists.iter().any(|list| list.contains(client));
        self.allow.as_ref().is_none_or(contains)
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
    /// Counts a connection of this client, unless it has `most` and never sent a valid signature.
    fn enter(&mut self, client: IpAddr, most: usize) -> bool {
        let n_open = self.n_open.entry(client).or_default();
        let enters = *n_open < most || self.signers.contains(&client);
        if enters {
            *n_open += 1;
        }
        enters
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
