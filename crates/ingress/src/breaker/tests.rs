use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, TryLockError};

use harkara_settings::Settings;
use harkara_streams::append::NotAppended;
use harkara_streams::fitness::Unfit;
use harkara_streams::{Confirmations, Fsync, ServerReport};
use prometheus_client::registry::Registry;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::Breaker;
use crate::inbox::NotStored;
use crate::metrics::BreakerGauge;

/// Counts log lines, and those that were logged while the breaker was locked.
#[derive(Clone)]
struct Watch {
    breaker: Arc<Breaker>,
    lines: Arc<AtomicUsize>,
    locked: Arc<AtomicUsize>,
}

impl<S: Subscriber> Layer<S> for Watch {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        if let Err(TryLockError::WouldBlock) = self.breaker.inner.try_lock() {
            self.locked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn confirmations(fsync_always: bool) -> Confirmations {
    let settings = Settings::from_pairs([("ingress.durability", "appended")]).unwrap();
    let server = ServerReport {
        address: "h:1".to_owned(),
        version: "7.2.0".to_owned(),
        appendfsync: fsync_always.then(|| "always".to_owned()),
        fsync: Fsync::BeforeReply,
        replicas: 0,
        memory_bytes: (0, 0),
        warnings: Vec::new(),
    };
    Confirmations::of(&settings.ingress, &server).unwrap()
}

#[test]
fn nothing_is_logged_under_the_lock_that_requests_wait_for() {
    let gauge = BreakerGauge::register(&mut Registry::default());
    let breaker = Arc::new(Breaker::new(Ok(confirmations(false)), gauge));
    let watch = Watch {
        breaker: breaker.clone(),
        lines: Arc::default(),
        locked: Arc::default(),
    };
    let full = Unfit::Entries {
        entries: 2,
        entries_max: 1,
    };
    let subscriber = tracing_subscriber::registry().with(watch.clone());
    tracing::subscriber::with_default(subscriber, || {
        breaker.append_failed(breaker.snapshot(), NotAppended::Timeout);
        breaker.open(full.into());
        breaker.inbox_failed(&NotStored::Timeout);
        breaker.close(breaker.snapshot(), confirmations(false));
        breaker.close(breaker.snapshot(), confirmations(true));
    });
    assert_eq!(watch.lines.load(Ordering::Relaxed), 5);
    assert_eq!(watch.locked.load(Ordering::Relaxed), 0);
}
