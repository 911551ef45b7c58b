//! Whether deliveries go to Redis or straight to the inbox.
//!
//! The first append that fails opens the breaker, so that no other request waits for a Redis that is
//! away, and so does a bound that is reached. The watch closes it when Redis takes writes again: no
//! request that the inbox can serve is spent on finding that out.

mod watch;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use harkara_runtime::failure;
use tokio::sync::Notify;

use crate::append::NotAppended;
use crate::inbox::NotStored;
pub(crate) use watch::Watch;

/// Shared by all server threads.
pub(crate) struct Breaker {
    state: AtomicU8,
    /// Without an inbox there is nowhere else to go, so a failure opens nothing.
    has_inbox: bool,
    opened: Notify,
    /// Why it is open, for readiness.
    reason: Mutex<Option<String>>,
    inbox_failing: AtomicBool,
}

/// Deliveries go to Redis.
const CLOSED: u8 = 0;
/// An append has failed: Redis is a last resort.
const FAILING: u8 = 1;
/// Redis must not be given any more: a bound is reached, or it is less durable than asked.
const UNFIT: u8 = 2;

impl Breaker {
    pub(crate) fn new(has_inbox: bool) -> Self {
        Self {
            state: AtomicU8::new(CLOSED),
            has_inbox,
            opened: Notify::new(),
            reason: Mutex::new(None),
            inbox_failing: AtomicBool::new(false),
        }
    }

    /// Whether deliveries go to Redis.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLOSED
    }

    /// Whether Redis may be tried all the same, where the inbox does not take a delivery.
    pub(crate) fn may_be_tried(&self) -> bool {
        self.state.load(Ordering::Acquire) != UNFIT
    }

    /// Why they do not.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// An append failed.
    pub(crate) fn append_failed(&self, error: &NotAppended) {
        let reason = failure::with_causes(error);
        if self.has_inbox {
            self.open(FAILING, &reason);
        } else {
            if self.note(Some(reason.clone())).is_none() {
                tracing::error!(
                    reason,
                    "Redis does not take deliveries, and there is no inbox; they are answered 503."
                );
            }
            self.opened.notify_one();
        }
    }

    /// The inbox did not take a delivery either.
    pub(crate) fn inbox_failed(&self, error: &NotStored) {
        if !self.inbox_failing.swap(true, Ordering::Relaxed) {
            let reason = failure::with_causes(error);
            tracing::error!(
                reason,
                "PostgreSQL does not take what Redis does not; such deliveries are answered 503."
            );
        }
    }

    /// Redis is not to be given deliveries.
    fn found_unfit(&self, reason: &str) {
        self.open(UNFIT, reason);
    }

    /// Deliveries go elsewhere from now on.
    fn open(&self, state: u8, reason: &str) {
        self.note(Some(reason.to_owned()));
        // What is unfit stays so until it is closed.
        if self.state.fetch_max(state, Ordering::AcqRel) == CLOSED {
            tracing::error!(
                reason,
                has_inbox = self.has_inbox,
                "Redis does not take deliveries; they go to the inbox in PostgreSQL where there is one, and are answered 503 otherwise."
            );
            self.opened.notify_one();
        }
    }

    /// Deliveries go to Redis again.
    fn close(&self) {
        let was_noted = self.note(None).is_some();
        self.inbox_failing.store(false, Ordering::Relaxed);
        if self.state.swap(CLOSED, Ordering::AcqRel) != CLOSED || was_noted {
            tracing::info!("Redis takes deliveries again.");
        }
    }

    fn note(&self, reason: Option<String>) -> Option<String> {
        let mut noted = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut noted, reason)
    }
}
