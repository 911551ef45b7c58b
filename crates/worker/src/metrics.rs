//! The worker's metrics.

mod events;

use harkara_storage::Pool;
use harkara_storage::commit::{CommittedBatch, tables};
use harkara_storage::record::{EventRecord, Verdict};
use harkara_telemetry::catalogue::{
    ByLabel, WORKER_BATCH_EVENTS, WORKER_BATCH_SECONDS, WORKER_BATCHES,
    WORKER_DEFAULT_PARTITION_ROWS, WORKER_ENTRIES_DELETED, WORKER_ENTRIES_RECLAIMED,
    WORKER_ENTRIES_SET_ASIDE, WORKER_ENTRIES_SKIPPED, WORKER_ENTRIES_UNKNOWN_ENDPOINT,
    WORKER_EVENTS_POSTPONED, WORKER_GROUPS_RECREATED, WORKER_POOL_CONNECTIONS, WORKER_SNAPSHOTS,
    WORKER_STAGE_SECONDS, WORKER_STATEMENT_SECONDS, WORKER_TABLE_UNAVAILABLE, WORKER_WAITS,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::outcome::EventOutcome;
use crate::spans::{BatchTimes, Interval, KeptTraces};
use crate::unavailable_tables::UnavailableTables;
use events::EventCounters;

/// Buckets of batch times, in seconds: dense around the 50 ms p99 target.
const BATCH_SECONDS: [f64; 22] = [
    0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.08, 0.1,
    0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Buckets of batch sizes, in events.
const BATCH_EVENTS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0];

/// Buckets of the times of stages and statements, in seconds.
const STEP_SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

pub(crate) struct Counters {
    events: EventCounters,
    /// Changed, unchanged.
    snapshots: [Counter; 2],
    batches: Counter,
    batch_events: Histogram,
    pub(crate) batch_seconds: Histogram,
    /// Wait, decode, commit, acknowledge.
    stages: [Histogram; 4],
    statements: ByLabel<Histogram>,
    postponed: ByLabel<Counter>,
    pub(crate) reclaimed: Counter,
    pub(crate) set_aside: Counter,
    pub(crate) deleted: Counter,
    pub(crate) skipped: Counter,
    pub(crate) unknown_endpoint: Counter,
    pub(crate) waits: Counter,
    pub(crate) groups_recreated: Counter,
    /// Of the ledger, of the audit.
    pub(crate) default_rows: [Gauge; 2],
}

impl Counters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let batch_events = Histogram::new(BATCH_EVENTS);
        let batch_seconds = Histogram::new(BATCH_SECONDS);
        let statements = ByLabel::new_with_constructor(step_seconds as fn() -> Histogram);
        let counter = Counter::default;
        let postponed = ByLabel::new_with_constructor(counter as fn() -> Counter);
        for table in tables() {
            drop(postponed.get_or_create_owned(&[("table", table)]));
        }
        Self {
            events: EventCounters::register(registry),
            snapshots: WORKER_SNAPSHOTS.per_value(registry, counter),
            batches: WORKER_BATCHES.registered(registry, counter()),
            batch_events: WORKER_BATCH_EVENTS.registered(registry, batch_events),
            batch_seconds: WORKER_BATCH_SECONDS.registered(registry, batch_seconds),
            stages: WORKER_STAGE_SECONDS.per_value(registry, step_seconds),
            statements: WORKER_STATEMENT_SECONDS.registered(registry, statements),
            postponed: WORKER_EVENTS_POSTPONED.registered(registry, postponed),
            reclaimed: WORKER_ENTRIES_RECLAIMED.registered(registry, counter()),
            set_aside: WORKER_ENTRIES_SET_ASIDE.registered(registry, counter()),
            deleted: WORKER_ENTRIES_DELETED.registered(registry, counter()),
            skipped: WORKER_ENTRIES_SKIPPED.registered(registry, counter()),
            unknown_endpoint: WORKER_ENTRIES_UNKNOWN_ENDPOINT.registered(registry, counter()),
            waits: WORKER_WAITS.registered(registry, counter()),
            groups_recreated: WORKER_GROUPS_RECREATED.registered(registry, counter()),
            default_rows: WORKER_DEFAULT_PARTITION_ROWS.per_value(registry, Gauge::default),
        }
    }

    /// Counts a committed batch. `kept` are the traces to name in exemplars.
    pub(crate) fn committed(
        &self,
        records: &[EventRecord],
        batch: &CommittedBatch,
        kept: Option<&KeptTraces>,
    ) {
        self.batches.inc();
        #[expect(clippy::cast_precision_loss, reason = "a batch is bounded")]
        self.batch_events.observe(records.len() as f64);
        self.events.committed(records, batch, kept);
        if batch.outcome().postponed > 0 {
            self.postponed(records, batch);
        }
        let applied = batch.outcome().applied;
        self.snapshots[0].inc_by(count(applied.changed));
        self.snapshots[1].inc_by(count(applied.unchanged));
        for statement in batch.statements() {
            let took = statement.until - statement.from;
            self.statements
                .get_or_create_owned(&[("statement", statement.name)])
                .observe(took.as_secs_f64());
        }
    }

    fn postponed(&self, records: &[EventRecord], batch: &CommittedBatch) {
        for (at, record) in records.iter().enumerate() {
            if let Verdict::Postpone { table, .. } = record.verdict
                && EventOutcome::of(batch, at, record) == EventOutcome::Postponed
            {
                let counter = self.postponed.get_or_create_owned(&[("table", table)]);
                counter.inc();
            }
        }
    }

    /// Observes the stages of a batch that was acknowledged, or whose acknowledgement goes on by itself.
    pub(crate) fn stages_took(
        &self,
        times: &BatchTimes,
        committed: Interval,
        acknowledged: Interval,
    ) {
        let stages = [times.claim(), times.decode(), committed, acknowledged];
        for (stage, (from, until)) in self.stages.iter().zip(stages) {
            stage.observe((until - from).as_secs_f64());
        }
    }
}

/// Registers the connections of a pool by their use.
pub(crate) fn register_pool(pool: Pool, registry: &mut Registry) {
    WORKER_POOL_CONNECTIONS.computed(registry, move || {
        let used = pool.use_now();
        let n = |connections| i64::try_from(connections).unwrap_or(i64::MAX);
        vec![("in_use", n(used.in_use)), ("idle", n(used.idle))]
    });
}

/// Registers, for each table of projections, whether it cannot be written.
pub(crate) fn register_unavailable_tables(unavailable: UnavailableTables, registry: &mut Registry) {
    WORKER_TABLE_UNAVAILABLE.computed(registry, move || {
        let reasons = unavailable.reasons();
        let is_unavailable = |name| reasons.iter().any(|(table, _)| *table == name);
        tables()
            .map(|table| (table, i64::from(is_unavailable(table))))
            .collect()
    });
}

fn step_seconds() -> Histogram {
    Histogram::new(STEP_SECONDS)
}

fn count(snapshots: usize) -> u64 {
    u64::try_from(snapshots).unwrap_or(u64::MAX)
}
