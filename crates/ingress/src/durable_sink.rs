//! Makes a delivery durable: in the stream of its lane, or in the inbox in PostgreSQL while Redis is
//! unavailable.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::delivery::VerifiedDelivery;
use harkara_core::durability::Durability;
use harkara_core::lane::Lane;
use harkara_settings::RedisSettings;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::{Instant, timeout_at};

use crate::breaker::{Breaker, Snapshot};
use crate::inbox::{Inbox, StoredDelivery};
use harkara_streams::append::{AppendedEntry, Appender};

/// The proof that a delivery is durable, which an answer of 200 takes. It is made of nothing but what
/// Redis or PostgreSQL confirmed.
#[must_use]
pub(crate) struct Durable(Durability);

/// Neither way took the delivery. It may be in the stream, in the inbox or in both all the same, where
/// only a confirmation was lost. Then Razorpay sends it again, and the ledger drops the duplicate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotDurable;

/// Redis and the inbox, as one server thread uses them.
pub(crate) struct DurableSink {
    /// The breaker keeps requests from waiting for a Redis that is away.
    breaker: Arc<Breaker>,
    inbox: Option<Inbox>,
    redis: RedisSettings,
    append_timeout: Duration,
    /// How many were appended together.
    append_group: Histogram,
    /// The longest time to an answer, whichever way it is.
    answer_max: Duration,
    /// The appender, and the breaker's generation that it is of: what connections an outage has left behind
    /// goes with it.
    appender: RefCell<Option<(u64, Rc<Appender>)>>,
}

impl DurableSink {
    /// To be used on the server thread that makes it. Connects with the first delivery.
    pub(crate) fn new(
        breaker: Arc<Breaker>,
        inbox: Option<Inbox>,
        redis: &RedisSettings,
        append_timeout: Duration,
        append_group: &Histogram,
    ) -> Self {
        let inbox_timeout = inbox.as_ref().map_or(Duration::ZERO, Inbox::timeout);
        Self {
            answer_max: append_timeout + inbox_timeout,
            breaker,
            inbox,
            redis: redis.clone(),
            append_timeout,
            append_group: append_group.clone(),
            appender: RefCell::new(None),
        }
    }

    /// Makes a delivery durable. Takes no longer than both timeouts together.
    pub(crate) async fn make_durable(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Result<Durable, NotDurable> {
        let until = Instant::now() + self.answer_max;
        let snapshot = self.breaker.snapshot();
        if snapshot.is_closed()
            && let Some(durable) = self.append(snapshot, delivery, lane, event_name).await
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
        let at_last = timeout_at(until, self.append_at_last(delivery, lane, event_name));
        at_last.await.ok().flatten().ok_or(NotDurable)
    }

    /// Redis may be back, and nobody has looked since. What it confirms may have changed meanwhile, so it is
    /// looked at first.
    async fn append_at_last(
        &self,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Option<Durable> {
        if !self.breaker.snapshot().may_be_tried() {
            return None;
        }
        let snapshot = self.breaker.recheck().await;
        if !snapshot.is_closed() {
            return None;
        }
        self.append(snapshot, delivery, lane, event_name).await
    }

    async fn append(
        &self,
        snapshot: Snapshot,
        delivery: &VerifiedDelivery,
        lane: Lane,
        event_name: &str,
    ) -> Option<Durable> {
        let appender = self.appender(snapshot)?;
        match appender.append(delivery, lane, event_name).await {
            Ok(entry) => Some(entry.into()),
            Err(error) => {
                self.breaker.append_failed(snapshot, &error);
                None
            }
        }
    }

    /// The appender of the present generation; `None` while nobody knows what Redis confirms.
    fn appender(&self, snapshot: Snapshot) -> Option<Rc<Appender>> {
        if let Some((generation, appender)) = &*self.appender.borrow()
            && *generation >= snapshot.generation()
        {
            return Some(appender.clone());
        }
        let (generation, confirmations) = self.breaker.confirmations();
        let appender = Appender::new(
            &self.redis,
            &confirmations?,
            self.append_timeout,
            &self.append_group,
        );
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
