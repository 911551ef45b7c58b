//! The two ways to make a delivery durable: the stream of its lane, and the inbox in PostgreSQL while
//! Redis cannot take it.

use std::sync::Arc;

use harkara_core::delivery::VerifiedDelivery;
use harkara_core::durability::Durability;
use harkara_core::lane::Lane;

use crate::append::{AppendedEntry, Appender};
use crate::breaker::Breaker;
use crate::inbox::{Inbox, StoredDelivery};

/// The proof that a delivery is durable, which an answer of 200 takes. It is made of nothing but what
/// Redis or PostgreSQL confirmed.
#[must_use]
pub(crate) struct Durable(Durability);

/// Neither way took the delivery. It may be in the stream, in the inbox or in both all the same, where
/// only a confirmation was lost. Then Razorpay sends it again, and the ledger drops the duplicate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotDurable;

/// The ways of one server thread.
pub(crate) struct Ways {
    pub(crate) appender: Appender,
    /// Where there is one, the breaker keeps requests from waiting for a Redis that is away.
    pub(crate) inbox: Option<Inbox>,
    pub(crate) breaker: Arc<Breaker>,
}

impl Ways {
    /// Makes a delivery durable. Takes no longer than both ways' timeouts together.
    pub(crate) async fn make_durable(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<Durable, NotDurable> {
        let asked_redis = self.breaker.is_closed();
        if asked_redis && let Some(durable) = self.append(delivery, lane, event_name).await {
            return Ok(durable);
        }
        let Some(inbox) = &self.inbox else {
            return Err(NotDurable);
        };
        match inbox.store(delivery, lane, event_name).await {
            Ok(stored) => return Ok(stored.into()),
            Err(error) => self.breaker.inbox_failed(&error),
        }
        // Neither of the two is left unasked before the answer is 503.
        let last_resort = !asked_redis && self.breaker.may_be_tried();
        if last_resort && let Some(durable) = self.append(delivery, lane, event_name).await {
            return Ok(durable);
        }
        Err(NotDurable)
    }

    async fn append(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Option<Durable> {
        match self.appender.append(delivery, lane, event_name).await {
            Ok(appended) => Some(appended.into()),
            Err(error) => {
                self.breaker.append_failed(&error);
                None
            }
        }
    }
}

impl Durable {
    /// The level that was reached.
    pub(crate) fn level(&self) -> Durability {
        self.0
    }
}

impl From<AppendedEntry> for Durable {
    fn from(appended: AppendedEntry) -> Self {
        Self(appended.level())
    }
}

impl From<StoredDelivery> for Durable {
    fn from(_: StoredDelivery) -> Self {
        Self(Durability::Stored)
    }
}
