//! Builds the parts of a worker from the settings.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use harkara_core::retry::RetryPolicy;
use harkara_runtime::admin::Liveness;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_storage::Pool;
use harkara_storage::commit::DuplicateHint;
use harkara_storage::ledger::LeaseBounds;
use harkara_streams::consumer_group::Group;
use harkara_telemetry::Tracer;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acknowledge::Acknowledgements;
use crate::active_claims::ActiveClaims;
use crate::batch_processor::BatchProcessor;
use crate::claim::{BatchBounds, Claimer, LaneReader};
use crate::committer::Committer;
use crate::due::DueSource;
use crate::failure_log::FailureLog;
use crate::janitor;
use crate::membership::Membership;
use crate::metrics::{Counters, register_unavailable_tables};
use crate::partitions::Upkeep;
use crate::reclaim::{Damage, Reclaimer};
use crate::spans::BatchSpans;
use crate::unavailable_tables::UnavailableTables;
use crate::unknown_endpoints::UnknownEndpoints;

/// A reader without progress for this long is stuck. It reports progress every second, and a read takes no
/// longer than its wait and the response timeout.
const READER_QUIET_MAX: Duration = Duration::from_secs(30);

/// Loops that run until shutdown.
pub(super) type Loops = Vec<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// What several parts share.
pub(super) struct Parts<'a> {
    settings: &'a Settings,
    database: Pool,
    group: Arc<Group>,
    claims: Arc<ActiveClaims>,
    pub(super) processor: Arc<BatchProcessor>,
    pub(super) unavailable: UnavailableTables,
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        database: Pool,
        group: Arc<Group>,
        tracer: &Tracer,
        registry: &mut Registry,
    ) -> Self {
        let worker = &settings.worker;
        let unavailable = UnavailableTables::default();
        let counters = Counters::register(registry);
        register_unavailable_tables(unavailable.clone(), registry);
        let claims = Arc::new(ActiveClaims::new());
        let abandon = CancellationToken::new();
        let processor = BatchProcessor {
            permits: Arc::new(Semaphore::new(worker.batches_in_flight_max)),
            in_flight: TaskTracker::new(),
            retries: RetryPolicy {
                first: worker.backoff_first,
                max: worker.backoff_max,
                attempts_max: worker.attempts_max,
            },
            claims: claims.clone(),
            unknown_endpoints: UnknownEndpoints::new(
                settings,
                group.clone(),
                counters.unknown_endpoint.clone(),
            ),
            committer: Committer {
                database: database.clone(),
                duplicate_hint: DuplicateHint::default(),
                waits: counters.waits.clone(),
            },
            unavailable: unavailable.clone(),
            acknowledgements: Acknowledgements::new(
                group.clone(),
                claims.clone(),
                counters.waits.clone(),
                abandon.clone(),
            ),
            counters,
            failures: FailureLog::default(),
            spans: BatchSpans {
                tracer: tracer.clone(),
                consumer: worker.consumer.clone(),
                links_only: settings.trace.links_only,
            },
            abandon,
        };
        Self {
            settings,
            database,
            group,
            claims,
            processor: Arc::new(processor),
            unavailable,
        }
    }

    /// The sources of batches and the upkeep.
    pub(super) fn loops(&self, liveness: &Liveness, shutdown: &Shutdown) -> Loops {
        let (claimer, reclaimer) = (self.claimer(liveness), self.reclaimer());
        let until = shutdown.clone();
        let streams = async move {
            let inherited = reclaimer.inherited().await;
            tokio::join!(claimer.run(until.clone()), reclaimer.run(inherited, until));
        };
        let janitor = janitor::run(
            self.group.clone(),
            self.settings.worker.consumer_idle,
            shutdown.clone(),
        );
        vec![
            Box::pin(streams),
            Box::pin(self.due().run(shutdown.clone())),
            Box::pin(janitor),
            Box::pin(self.upkeep().run(shutdown.clone())),
        ]
    }

    pub(super) fn membership(&self) -> Membership {
        Membership {
            group: self.group.clone(),
            claims: self.claims.clone(),
            claim_idle: self.settings.worker.claim_idle,
        }
    }

    fn batch(&self) -> BatchBounds {
        BatchBounds::of(&self.settings.worker)
    }

    fn claimer(&self, liveness: &Liveness) -> Claimer {
        let worker = &self.settings.worker;
        let counters = &self.processor.counters;
        let reader = LaneReader::new(
            self.group.clone(),
            self.claims.clone(),
            counters.groups_recreated.clone(),
            self.settings,
        );
        Claimer {
            reader,
            processor: self.processor.clone(),
            claims: self.claims.clone(),
            progress: liveness.watch("reader", READER_QUIET_MAX + worker.read_wait),
            batch_seconds: counters.batch_seconds.clone(),
            batch: self.batch(),
            gather: worker.gather,
            lane_weights: worker.lane_weights,
        }
    }

    fn reclaimer(&self) -> Reclaimer {
        let worker = &self.settings.worker;
        let counters = &self.processor.counters;
        Reclaimer {
            group: self.group.clone(),
            database: self.database.clone(),
            processor: self.processor.clone(),
            claims: self.claims.clone(),
            reclaimed: counters.reclaimed.clone(),
            set_aside: counters.set_aside.clone(),
            damage: Damage {
                deleted: counters.deleted.clone(),
                skipped: counters.skipped.clone(),
            },
            batch: self.batch(),
            claim_idle: worker.claim_idle,
            every: worker.reclaim_every,
            claims_max: u64::from(worker.claims_max),
        }
    }

    fn upkeep(&self) -> Upkeep {
        Upkeep {
            database: self.database.clone(),
            default_rows: self.processor.counters.default_rows.clone(),
            is_blind: AtomicBool::new(false),
            is_left_to_others: AtomicBool::new(false),
        }
    }

    fn due(&self) -> DueSource {
        let worker = &self.settings.worker;
        DueSource {
            database: self.database.clone(),
            processor: self.processor.clone(),
            bounds: LeaseBounds {
                rows_max: worker.batch_entries_max,
                bytes_max: worker.batch_bytes_max,
                attempts_max: worker.attempts_max,
                lease: worker.lease,
            },
            poll_every: worker.ledger_poll,
        }
    }
}
