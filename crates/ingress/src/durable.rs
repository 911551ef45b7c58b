//! The two ways to make a delivery durable: the stream of its lane, and the inbox in PostgreSQL while
//! Redis cannot take it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::delivery::VerifiedDelivery;
use harkara_core::durability::Durability;
use harkara_core::lane::Lane;
use harkara_runtime::settings::RedisSettings;

use crate::append::{AppendedEntry, Appender, NotAppended};
use crate::breaker::{Breaker, Seen};
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
    /// The breaker keeps requests from waiting for a Redis that is away.
    breaker: Arc<Breaker>,
    inbox: Option<Inbox>,
    redis: RedisSettings,
    append_timeout: Duration,
    /// The appender, and the breaker's generation that it is of: what connections an outage has left behind
    /// goes with it.
    appender: RefCell<Option<(u64, Rc<Appender>)>>,
}

impl Ways {
    /// To be used on the server thread that makes it. Connects with the first delivery.
    pub(crate) fn new(
        breaker: Arc<Breaker>,
        inbox: Option<Inbox>,
        redis: &RedisSettings,
        append_timeout: Duration,
    ) -> Self {
        Self {
            breaker,
            inbox,
            redis: redis.clone(),
            append_timeout,
            appender: RefCell::new(None),
        }
    }

    /// Makes a delivery durable. Takes no longer than both ways' timeouts together.
    pub(crate) async fn make_durable(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<Durable, NotDurable> {
        let seen = self.breaker.look();
        if seen.is_closed()
            && let Ok(durable) = self.append(seen, delivery, lane, event_name).await
        {
            return Ok(durable);
        }
        if let Some(inbox) = &self.inbox {
            match inbox.store(delivery, lane, event_name).await {
                Ok(stored) => return Ok(stored.into()),
                Err(error) => self.breaker.inbox_failed(&error),
            }
        }
        // Neither of the two is left unasked before the answer is 503.
        if !seen.is_closed() && seen.may_be_tried() {
            return self.append_at_last(seen, delivery, lane, event_name).await;
        }
        Err(NotDurable)
    }

    /// The connection may be one that an outage has left behind, and what fails then has taken no time: the
    /// second is a new one.
    async fn append_at_last(
        &self,
        seen: Seen,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<Durable, NotDurable> {
        match self.append(seen, delivery, lane, event_name).await {
            Err(Some(NotAppended::Redis(_))) => {}
            other => return other.map_err(|_| NotDurable),
        }
        let again = self.append(seen, delivery, lane, event_name).await;
        again.map_err(|_| NotDurable)
    }

    /// Appends it. There is no error where nobody knows what Redis confirms.
    async fn append(
        &self,
        seen: Seen,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<Durable, Option<NotAppended>> {
        let appender = self.appender(seen).ok_or(None)?;
        match appender.append(delivery, lane, event_name).await {
            Ok(entry) => Ok(entry.into()),
            Err(error) => {
                self.breaker.append_failed(seen, &error);
                Err(Some(error))
            }
        }
    }

    /// The appender of the present generation; `None` while nobody knows what Redis confirms.
    fn appender(&self, seen: Seen) -> Option<Rc<Appender>> {
        if let Some((generation, appender)) = &*self.appender.borrow()
            && *generation == seen.generation()
        {
            return Some(appender.clone());
        }
        let (generation, confirmations) = self.breaker.confirmations();
        let appender = Appender::new(&self.redis, &confirmations?, self.append_timeout);
        let appender = Rc::new(appender);
        self.appender.replace(Some((generation, appender.clone())));
        Some(appender)
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
