//! Events by name and outcome.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use harkara_core::catalogue::EVENTS;
use harkara_core::lane::{LANES, Lane};
use harkara_runtime::clock;
use harkara_storage::commit::CommittedBatch;
use harkara_storage::record::{EventRecord, Origin};
use harkara_telemetry::catalogue::{
    WORKER_ATTEMPTS, WORKER_EVENTS, WORKER_RECEIPT_TO_COMMIT_SECONDS,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::outcome::{EventOutcome, OUTCOMES};
use crate::spans::KeptTraces;

/// The label of all events that are not in the catalogue, of which there may be any number.
const OTHER: &str = "other";

/// Buckets of attempts.
const ATTEMPTS: [f64; 7] = [1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0];

/// Buckets of the time from receipt to commit, in seconds: dense below the 1 s p99 target, then what an outage
/// leaves behind.
const RECEIPT_TO_COMMIT_SECONDS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0,
    86_400.0,
];

type ToCommit = HistogramWithExemplars<[(&'static str, String); 1]>;

/// The counters of events.
pub(super) struct EventCounters {
    by_name: HashMap<&'static str, [Counter; OUTCOMES.len()]>,
    attempts: Histogram,
    to_commit: [ToCommit; LANES],
}

impl EventCounters {
    /// Registers the counters. All start at 0, so that rates are known from the first scrape.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let events = Family::<[(&'static str, &'static str); 2], Counter>::default();
        let events = WORKER_EVENTS.registered(registry, events);
        let names = EVENTS.iter().map(|known| known.name).chain([OTHER]);
        let by_name = names.map(|name| {
            let counters = OUTCOMES.map(|outcome| {
                events.get_or_create_owned(&[("event", name), ("outcome", outcome)])
            });
            (name, counters)
        });
        Self {
            by_name: by_name.collect(),
            attempts: WORKER_ATTEMPTS.registered(registry, Histogram::new(ATTEMPTS)),
            to_commit: WORKER_RECEIPT_TO_COMMIT_SECONDS.per_value(registry, || {
                ToCommit::new(RECEIPT_TO_COMMIT_SECONDS.into_iter())
            }),
        }
    }

    /// Counts the events of a committed batch. `kept` are the traces to name in exemplars.
    pub(super) fn committed(
        &self,
        records: &[EventRecord],
        batch: &CommittedBatch,
        kept: Option<&KeptTraces>,
    ) {
        let now = clock::now();
        for (at, record) in records.iter().enumerate() {
            let outcome = EventOutcome::of(batch, at, record);
            self.of(&record.claimed.event_type)[outcome as usize].inc();
            if matches!(outcome, EventOutcome::Processed | EventOutcome::Failed) {
                self.attempts.observe(f64::from(record.claimed.attempts()));
            }
            let is_fresh = !matches!(
                record.claimed.origin,
                Origin::Ledger {
                    is_first: false,
                    ..
                }
            );
            if is_fresh && outcome != EventOutcome::Superseded {
                let took = now.since(record.claimed.received_at);
                let trace_id = kept.and_then(|kept| kept.trace_id(at, record));
                self.took(record.claimed.lane, took, trace_id);
            }
        }
    }

    fn of(&self, event_type: &str) -> &[Counter; OUTCOMES.len()] {
        self.by_name
            .get(event_type)
            .unwrap_or_else(|| &self.by_name[OTHER])
    }

    fn took(&self, lane: Lane, took: Duration, trace_id: Option<String>) {
        let at = trace_id.is_some().then(SystemTime::now);
        let exemplar = trace_id.map(|id| [("trace_id", id)]);
        self.to_commit[lane.index()].observe(took.as_secs_f64(), exemplar, at);
    }
}
