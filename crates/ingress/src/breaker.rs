//! Whether deliveries go to Redis or straight to the inbox.
//!
//! The first append that fails opens the breaker, so that no other request waits for a Redis that is
//! unavailable; so does a limit that is reached. The health check closes it when Redis takes writes again:
//! no request that the inbox can serve is spent on finding that out.

mod health_check;
mod startup_check;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use harkara_core::causes::with_causes;
use harkara_streams::Confirmations;
use harkara_streams::append::NotAppended;
use harkara_streams::fitness::{CheckError, Unfit};
use strum::{IntoStaticStr, VariantArray};
use tokio::sync::{Notify, watch};

use crate::inbox::NotStored;
use crate::metrics::BreakerGauge;
pub(crate) use health_check::HealthCheck;
pub(crate) use startup_check::startup_check;

/// Shared by all server threads.
pub(crate) struct Breaker {
    /// The snapshot of `inner`, written while `inner` is locked.
    snapshot: AtomicU64,
    inner: Mutex<Inner>,
    opened: Notify,
    /// A request needs Redis now.
    check_now: Notify,
    /// Number of finished health checks.
    checks: watch::Sender<u64>,
    gauge: BreakerGauge,
}

/// The breaker as a request sees it: the state's number, and above it the generation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BreakerSnapshot(u64);

struct Inner {
    /// Why Redis is given no deliveries; `None` while the breaker is closed.
    reason: Option<Reason>,
    /// What confirms the levels; `None` until Redis was fit for the first time.
    confirmations: Option<Confirmations>,
    /// Grows whenever Redis becomes fit again or confirms deliveries differently. Connections and errors of
    /// an earlier generation are ignored.
    generation: u64,
    /// Whether a failure of the inbox was logged.
    inbox_failing: bool,
}

/// Why Redis is given no deliveries.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum Reason {
    Append(#[from] NotAppended),
    Check(#[from] CheckError),
    Unfit(#[from] Unfit),
}

/// The breaker's state; the greater, the more it forbids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum State {
    /// Deliveries go to Redis.
    Closed,
    /// Redis fails; it may be tried where nothing else takes a delivery.
    Failing,
    /// Redis must not be given deliveries: a limit is reached, or it is less durable than configured.
    Unfit,
}

/// Health checks that a request waits for when neither Redis nor the inbox took its delivery.
const CHECKS_AWAITED: u64 = 2;

/// Bits of a state's number in a snapshot.
const STATE_BITS: u32 = 2;

impl Breaker {
    /// Closed if the startup check found what confirms the levels, open otherwise.
    pub(crate) fn new(found: Result<Confirmations, Reason>, gauge: BreakerGauge) -> Self {
        let (reason, confirmations) = match found {
            Ok(confirmations) => (None, Some(confirmations)),
            Err(reason) => (Some(reason), None),
        };
        let inner = Inner {
            reason,
            confirmations,
            generation: 0,
            inbox_failing: false,
        };
        gauge.set(inner.state());
        Self {
            snapshot: AtomicU64::new(inner.snapshot().0),
            inner: Mutex::new(inner),
            opened: Notify::new(),
            check_now: Notify::new(),
            checks: watch::Sender::new(0),
            gauge,
        }
    }

    /// The current state, for a request: one atomic load.
    pub(crate) fn snapshot(&self) -> BreakerSnapshot {
        BreakerSnapshot(self.snapshot.load(Ordering::Acquire))
    }

    /// The state after two more health checks, which begin immediately: one may be in progress that began
    /// before Redis came back. Returns sooner if the breaker closes.
    pub(crate) async fn recheck(&self) -> BreakerSnapshot {
        let mut checks = self.checks.subscribe();
        let enough = *checks.borrow_and_update() + CHECKS_AWAITED;
        self.check_now.notify_one();
        // It cannot fail: the counter lives as long as the breaker.
        let waited = checks.wait_for(|n| *n >= enough || self.snapshot().is_closed());
        drop(waited.await);
        self.snapshot()
    }

    /// The generation and what confirms its levels; `None` until Redis was fit for the first time.
    pub(crate) fn confirmations(&self) -> (u64, Option<Confirmations>) {
        let inner = self.lock();
        (inner.generation, inner.confirmations.clone())
    }

    /// Why deliveries do not go to Redis; `None` if they do.
    pub(crate) fn reason(&self) -> Option<String> {
        let inner = self.lock();
        inner.reason.as_ref().map(|reason| with_causes(reason))
    }

    /// Opens the breaker after a failed append that was made on the strength of `snapshot`.
    pub(crate) fn append_failed(&self, snapshot: BreakerSnapshot, error: NotAppended) {
        // An append that was in flight when another opened the breaker, or until it was closed again,
        // adds nothing.
        if snapshot.is_closed() && self.snapshot() == snapshot {
            self.open(error.into());
        }
    }

    /// Logs the first delivery that the inbox did not take either.
    pub(crate) fn inbox_failed(&self, error: &NotStored) {
        if !std::mem::replace(&mut self.lock().inbox_failing, true) {
            let reason = with_causes(error);
            tracing::error!(
                reason,
                "Redis and PostgreSQL unavailable; answering deliveries with 503."
            );
        }
    }

    fn open(&self, reason: Reason) {
        let mut inner = self.lock();
        let (before, after) = (inner.state(), reason.state());
        // Once unfit, Redis stays so until a check finds it fit.
        if before > after {
            return;
        }
        let cause = (before < after).then(|| with_causes(&reason));
        inner.reason = Some(reason);
        self.publish(&inner);
        // Requests wait for the lock: nothing is logged under it.
        drop(inner);
        self.opened.notify_one();
        if let Some(reason) = cause {
            tracing::error!(
                reason,
                state = <&str>::from(after),
                "Redis unavailable; storing deliveries in PostgreSQL (503 if the inbox is disabled)."
            );
        }
    }

    /// Closes the breaker after a health check that began at `snapshot`.
    fn close(&self, snapshot: BreakerSnapshot, confirmations: Confirmations) {
        let mut inner = self.lock();
        if snapshot.is_closed() && inner.snapshot() != snapshot {
            // An append has failed since. The next check decides.
            return;
        }
        let was_open = inner.reason.is_some();
        if !was_open && inner.confirmations.as_ref() == Some(&confirmations) {
            return;
        }
        *inner = Inner {
            reason: None,
            confirmations: Some(confirmations),
            generation: inner.generation + 1,
            inbox_failing: false,
        };
        self.publish(&inner);
        drop(inner);
        if was_open {
            tracing::info!("Redis takes deliveries again.");
        } else {
            tracing::warn!("Redis confirms deliveries differently than before.");
        }
    }

    fn publish(&self, inner: &Inner) {
        self.snapshot.store(inner.snapshot().0, Ordering::Release);
        self.gauge.set(inner.state());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BreakerSnapshot {
    /// Whether deliveries go to Redis.
    pub(crate) fn is_closed(self) -> bool {
        self.is(State::Closed)
    }

    /// Whether Redis may be tried where nothing else takes a delivery.
    pub(crate) fn may_be_tried(self) -> bool {
        !self.is(State::Unfit)
    }

    pub(crate) fn generation(self) -> u64 {
        self.0 >> STATE_BITS
    }

    fn is(self, state: State) -> bool {
        self.0 & ((1 << STATE_BITS) - 1) == state as u64
    }
}

impl Inner {
    fn state(&self) -> State {
        self.reason.as_ref().map_or(State::Closed, Reason::state)
    }

    fn snapshot(&self) -> BreakerSnapshot {
        BreakerSnapshot(self.generation << STATE_BITS | self.state() as u64)
    }
}

impl Reason {
    fn state(&self) -> State {
        match self {
            Self::Append(_) | Self::Check(_) => State::Failing,
            Self::Unfit(_) => State::Unfit,
        }
    }
}

#[cfg(test)]
mod tests;
