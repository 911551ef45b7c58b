//! What the worker counts. Counted by batch, not by event.

use std::time::Duration;

use harkara_storage::commit::Outcome;
use harkara_telemetry::catalogue::{
    WORKER_BATCH_SECONDS, WORKER_BATCHES, WORKER_ENTRIES_SET_ASIDE, WORKER_ENTRIES_TAKEN_OVER,
    WORKER_EVENTS, WORKER_GROUPS_RECREATED, WORKER_SNAPSHOTS, WORKER_WAITS,
};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the classes of batch times, in seconds. Narrow around 50 ms, which 99 of 100 batches
/// are meant to stay below.
const BATCH_SECONDS: [f64; 22] = [
    0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.08, 0.1,
    0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The worker's counters. Cheap to clone; clones count together.
#[derive(Clone)]
pub(crate) struct Counters {
    events: Family<OutcomeLabel, Counter>,
    snapshots: Family<EffectLabel, Counter>,
    batches: Counter,
    batch_seconds: Histogram,
    pub(crate) taken_over: Counter,
    pub(crate) set_aside: Counter,
    pub(crate) waits: Counter,
    pub(crate) groups_recreated: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabel {
    effect: &'static str,
}

impl Counters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let counters = Self {
            events: Family::default(),
            snapshots: Family::default(),
            batches: Counter::default(),
            batch_seconds: Histogram::new(BATCH_SECONDS),
            taken_over: Counter::default(),
            set_aside: Counter::default(),
            waits: Counter::default(),
            groups_recreated: Counter::default(),
        };
        WORKER_EVENTS.register(registry, counters.events.clone());
        WORKER_SNAPSHOTS.register(registry, counters.snapshots.clone());
        WORKER_BATCHES.register(registry, counters.batches.clone());
        WORKER_BATCH_SECONDS.register(registry, counters.batch_seconds.clone());
        WORKER_ENTRIES_TAKEN_OVER.register(registry, counters.taken_over.clone());
        WORKER_ENTRIES_SET_ASIDE.register(registry, counters.set_aside.clone());
        WORKER_WAITS.register(registry, counters.waits.clone());
        WORKER_GROUPS_RECREATED.register(registry, counters.groups_recreated.clone());
        counters
    }

    /// A batch of fresh deliveries came to the end of its way.
    pub(crate) fn batch_took(&self, duration: Duration) {
        self.batch_seconds.observe(duration.as_secs_f64());
    }

    pub(crate) fn committed(&self, outcome: Outcome) {
        self.batches.inc();
        for (label, events) in [
            ("processed", outcome.processed),
            ("failed", outcome.failed),
            ("retried", outcome.retried),
            ("duplicate", outcome.duplicates),
            ("superseded", outcome.superseded),
        ] {
            self.events
                .get_or_create(&OutcomeLabel { outcome: label })
                .inc_by(count(events));
        }
        for (label, snapshots) in [
            ("changed", outcome.applied.changed),
            ("unchanged", outcome.applied.unchanged),
        ] {
            self.snapshots
                .get_or_create(&EffectLabel { effect: label })
                .inc_by(count(snapshots));
        }
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}
