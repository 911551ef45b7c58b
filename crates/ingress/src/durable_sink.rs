//! Makes a delivery durable: in the stream of its lane, or in the inbox in PostgreSQL while Redis is
//! unavailable.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use harkara_settings::RedisSettings;
use harkara_streams::Deployment;
use harkara_streams::append::Appender;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::{Instant, timeout_at};

use crate::breaker::{Breaker, BreakerSnapshot};
use crate::durable::Durable;
use crate::inbox::Inbox;
use crate::routed_delivery::RoutedDelivery;

/// Neither Redis nor the inbox confirmed the delivery. Either may hold it nevertheless, if only a
/// confirmation was lost. Razorpay then sends it again, and the ledger drops the duplicate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotDurable;

/// Redis and the inbox, as all server threads share them.
#[derive(Clone)]
pub(crate) struct Stores {
    /// Keeps requests from waiting for an unavailable Redis.
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) inbox: Option<Inbox>,
    pub(crate) redis: RedisSettings,
    pub(crate) deployment: Deployment,
    pub(crate) append_timeout: Duration,
    /// Sizes of groups that are appended together.
    pub(crate) append_group: Histogram,
}

/// Redis and the inbox, as one server thread uses them.
pub(crate) struct DurableSink {
    stores: Stores,
    /// The longest time to an answer.
    answer_max: Duration,
    /// The appender with its generation of the breaker: a new generation drops the connections that an
    /// outage left behind.
    appender: RefCell<Option<(u64, Rc<Appender>)>>,
}

impl DurableSink {
    /// To be used on the server thread that makes it. Connects with the first delivery.
    pub(crate) fn new(stores: Stores) -> Self {
        let inbox_timeout = stores.inbox.as_ref().map_or(Duration::ZERO, Inbox::timeout);
        Self {
            answer_max: stores.append_timeout + inbox_timeout,
            stores,
            appender: RefCell::new(None),
        }
    }

    /// Makes a delivery durable. Takes no longer than both timeouts together.
    pub(crate) async fn make_durable(
        &self,
        delivery: RoutedDelivery<'_>,
    ) -> Result<Durable, NotDurable> {
        let until = Instant::now() + self.answer_max;
        let snapshot = self.stores.breaker.snapshot();
        if snapshot.is_closed()
            && let Some(durable) = self.append(snapshot, delivery).await
        {
            return Ok(durable);
        }
        if let Some(inbox) = &self.stores.inbox {
            match inbox.store(delivery).await {
                Ok(stored) => return Ok(stored.into()),
                Err(error) => self.stores.breaker.inbox_failed(&error),
            }
        }
        // Before a 503, Redis is tried once more.
        let last = timeout_at(until, self.append_after_recheck(delivery));
        last.await.ok().flatten().ok_or(NotDurable)
    }

    /// Redis may be back since the last health check. It may confirm differently, so it is checked first.
    async fn append_after_recheck(&self, delivery: RoutedDelivery<'_>) -> Option<Durable> {
        if !self.stores.breaker.snapshot().may_be_tried() {
            return None;
        }
        let snapshot = self.stores.breaker.recheck().await;
        if !snapshot.is_closed() {
            return None;
        }
        self.append(snapshot, delivery).await
    }

    async fn append(
        &self,
        snapshot: BreakerSnapshot,
        delivery: RoutedDelivery<'_>,
    ) -> Option<Durable> {
        let appender = self.appender(snapshot)?;
        let RoutedDelivery {
            verified,
            lane,
            event_name,
        } = delivery;
        match appender.append(verified, lane, event_name).await {
            Ok(entry) => Some(entry.into()),
            Err(error) => {
                self.stores.breaker.append_failed(snapshot, error);
                None
            }
        }
    }

    /// The appender of the current generation; `None` while it is unknown what Redis confirms.
    fn appender(&self, snapshot: BreakerSnapshot) -> Option<Rc<Appender>> {
        if let Some((generation, appender)) = &*self.appender.borrow()
            && *generation >= snapshot.generation()
        {
            return Some(appender.clone());
        }
        let (generation, confirmations) = self.stores.breaker.confirmations();
        let stores = &self.stores;
        let appender = Appender::new(
            &stores.redis,
            &stores.deployment,
            &confirmations?,
            stores.append_timeout,
            &stores.append_group,
        );
        let appender = Rc::new(appender);
        self.appender.replace(Some((generation, appender.clone())));
        Some(appender)
    }
}
