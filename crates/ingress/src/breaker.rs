//! Whether deliveries go to Redis or straight to the inbox.
//!
//! The first append that fails opens the breaker, so that no other request waits for a Redis that is
//! away, and so does a bound that is reached. The watch closes it when Redis takes writes again: no
//! request that the inbox can serve is spent on finding that out.

mod health_check;
mod startup_check;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use harkara_core::causes::with_causes;
use tokio::sync::{Notify, watch as watch_channel};

use crate::inbox::NotStored;
use crate::metrics::BreakerGauge;
use harkara_streams::Confirmations;
use harkara_streams::append::NotAppended;
pub(crate) use health_check::HealthCheck;
pub(crate) use startup_check::startup_check;

/// Shared by all server threads.
pub(crate) struct Breaker {
    /// What `now` is, as requests see it; written while `now` is locked.
    snapshot: AtomicU64,
    now: Mutex<Now>,
    opened: Notify,
    /// Somebody needs Redis now.
    check_now: Notify,
    /// How many checks at Redis have ended.
    checks: watch_channel::Sender<u64>,
    gauge: BreakerGauge,
}

/// What a request sees of the breaker: the number of the state, and above it the generation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

struct Now {
    state: State,
    /// What confirms the levels, as far as it was ever found out.
    confirmations: Option<Confirmations>,
    /// Grows whenever Redis takes deliveries anew, or confirms them in another way. Connections and errors
    /// of an earlier generation count for nothing.
    generation: u64,
    /// Whether it was logged that the inbox does not take what Redis does not.
    inbox_failing: bool,
}

enum State {
    /// Deliveries go to Redis.
    Closed,
    /// Redis is given nothing, for this reason, before it was looked at anew.
    Failing(String),
    /// Redis must not be given any more: a bound is reached, or it is less durable than asked.
    Unfit(String),
}

/// The states' names, in the order of their numbers, which is that of how much they forbid.
pub(crate) const STATES: [&str; 3] = ["closed", "failing", "unfit"];

const CLOSED: u8 = 0;
const FAILING: u8 = 1;
const UNFIT: u8 = 2;

/// Looks that a request waits for which nothing else takes.
const CHECKS_AWAITED: u64 = 2;

/// Bits of a state's number in what a request sees.
const STATE_BITS: u32 = 2;

impl Breaker {
    /// Closed if it is known what confirms the levels, else open for the given reason.
    pub(crate) fn new(found: Result<Confirmations, String>, gauge: BreakerGauge) -> Self {
        let (state, confirmations) = match found {
            Ok(confirmations) => (State::Closed, Some(confirmations)),
            Err(reason) => (State::Failing(reason), None),
        };
        let now = Now {
            state,
            confirmations,
            generation: 0,
            inbox_failing: false,
        };
        gauge.set(now.state.name());
        Self {
            snapshot: AtomicU64::new(now.snapshot().0),
            now: Mutex::new(now),
            opened: Notify::new(),
            check_now: Notify::new(),
            checks: watch_channel::Sender::new(0),
            gauge,
        }
    }

    /// The present state, for a request: one load.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(self.snapshot.load(Ordering::Acquire))
    }

    /// What is snapshot after two more checks at Redis, which begin at once: one may be under way that began
    /// before Redis came back. Sooner where deliveries go there.
    pub(crate) async fn recheck(&self) -> Snapshot {
        let mut checks = self.checks.subscribe();
        let enough = *checks.borrow_and_update() + CHECKS_AWAITED;
        self.check_now.notify_one();
        let waited = checks.wait_for(|n| *n >= enough || self.snapshot().is_closed());
        // The counter lives as long as the breaker.
        waited
            .await
            .map_or_else(|_| self.snapshot(), |_| self.snapshot())
    }

    /// What confirms the levels, and since which generation; `None` until Redis was found fit for the first
    /// time.
    pub(crate) fn confirmations(&self) -> (u64, Option<Confirmations>) {
        let now = self.lock();
        (now.generation, now.confirmations.clone())
    }

    /// Why deliveries do not go to Redis, where they do not.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.lock().state {
            State::Closed => None,
            State::Failing(reason) | State::Unfit(reason) => Some(reason.clone()),
        }
    }

    /// An append failed that was made because of what was `snapshot`.
    pub(crate) fn append_failed(&self, snapshot: Snapshot, error: &NotAppended) {
        // Those that were on their way when another's failure opened it, or that lasted until it was closed
        // again, tell nothing new.
        if snapshot.is_closed() && self.snapshot() == snapshot {
            self.found_failing(with_causes(error));
        }
    }

    /// The inbox did not take a delivery either.
    pub(crate) fn inbox_failed(&self, error: &NotStored) {
        if !std::mem::replace(&mut self.lock().inbox_failing, true) {
            let reason = with_causes(error);
            tracing::error!(
                reason,
                "PostgreSQL does not take what Redis does not; such deliveries are answered 503."
            );
        }
    }

    /// Redis does not take deliveries, or cannot be asked.
    fn found_failing(&self, reason: String) {
        self.open(State::Failing(reason));
    }

    /// Redis is not to be given deliveries.
    fn found_unfit(&self, reason: String) {
        self.open(State::Unfit(reason));
    }

    fn open(&self, state: State) {
        let mut now = self.lock();
        let before = now.state.number();
        // What is unfit stays so until it is found fit.
        if before > state.number() {
            return;
        }
        now.state = state;
        if before < now.state.number() {
            if let State::Failing(reason) | State::Unfit(reason) = &now.state {
                tracing::error!(
                    reason,
                    state = now.state.name(),
                    "Redis is not given deliveries; they go to the inbox in PostgreSQL, or are answered 503 where there is none."
                );
            }
            self.publish(&now);
            self.opened.notify_one();
        }
    }

    /// Redis can be given deliveries, and this confirms them: so says a look that began when this was `snapshot`.
    fn found_fit(&self, snapshot: Snapshot, confirmations: Confirmations) {
        let mut now = self.lock();
        if snapshot.is_closed() && now.snapshot() != snapshot {
            // An append has failed meanwhile. The next look tells more.
            return;
        }
        let was_open = now.state.number() != CLOSED;
        if !was_open && now.confirmations.as_ref() == Some(&confirmations) {
            return;
        }
        if was_open {
            tracing::info!("Redis takes deliveries again.");
        } else {
            tracing::warn!("Redis confirms deliveries in another way than before.");
        }
        *now = Now {
            state: State::Closed,
            confirmations: Some(confirmations),
            generation: now.generation + 1,
            inbox_failing: false,
        };
        self.publish(&now);
    }

    fn publish(&self, now: &Now) {
        self.snapshot.store(now.snapshot().0, Ordering::Release);
        self.gauge.set(now.state.name());
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// Whether deliveries go to Redis.
    pub(crate) fn is_closed(self) -> bool {
        self.is(CLOSED)
    }

    /// Whether Redis may be asked where nothing else takes a delivery.
    pub(crate) fn may_be_tried(self) -> bool {
        !self.is(UNFIT)
    }

    pub(crate) fn generation(self) -> u64 {
        self.0 >> STATE_BITS
    }

    fn is(self, state: u8) -> bool {
        self.0 & ((1 << STATE_BITS) - 1) == u64::from(state)
    }
}

impl Now {
    fn snapshot(&self) -> Snapshot {
        Snapshot(self.generation << STATE_BITS | u64::from(self.state.number()))
    }
}

impl State {
    fn number(&self) -> u8 {
        match self {
            Self::Closed => CLOSED,
            Self::Failing(_) => FAILING,
            Self::Unfit(_) => UNFIT,
        }
    }

    fn name(&self) -> &'static str {
        STATES[usize::from(self.number())]
    }
}
