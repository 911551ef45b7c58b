//! What the worker counts. Counted by batch, not by event.

use harkara_storage::commit::Outcome;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The worker's counters. Cheap to clone; clones count together.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    events: Family<OutcomeLabel, Counter>,
    snapshots: Family<EffectLabel, Counter>,
    batches: Counter,
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
        let counters = Self::default();
        registry.register(
            "harkara_worker_events",
            "Events by outcome",
            counters.events.clone(),
        );
        registry.register(
            "harkara_worker_snapshots",
            "Entity snapshots by effect: changed a row, or came late and changed nothing",
            counters.snapshots.clone(),
        );
        registry.register(
            "harkara_worker_batches",
            "Committed batches",
            counters.batches.clone(),
        );
        registry.register(
            "harkara_worker_entries_taken_over",
            "Pending entries taken over from other consumers",
            counters.taken_over.clone(),
        );
        registry.register(
            "harkara_worker_entries_set_aside",
            "Entries stored as failed because workers died with them",
            counters.set_aside.clone(),
        );
        registry.register(
            "harkara_worker_waits",
            "Times a batch had to wait for PostgreSQL or Redis",
            counters.waits.clone(),
        );
        registry.register(
            "harkara_worker_groups_recreated",
            "Times a consumer group was found missing and created anew",
            counters.groups_recreated.clone(),
        );
        counters
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
