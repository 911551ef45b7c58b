//! The worker as an application: built from settings, run until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::lane::Lane;
use harkara_core::retry::RetryPolicy;
use harkara_runtime::admin::{Admin, AdminError, AdminServer, Liveness, Probe};
use harkara_runtime::build_info;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::{Settings, WorkerSettings};
use harkara_storage::commit::DuplicateHint;
use harkara_storage::ledger::{self, LeaseBounds};
use harkara_storage::migrations::{self, SchemaState};
use harkara_storage::{Pool, PoolSettings, StorageError, durability_risks};
use harkara_streams::backlog::{Latest, Observer};
use harkara_streams::{ServerProblem, check_server};
use harkara_telemetry::Metrics;
use harkara_telemetry::Tracer;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acknowledge::Acknowledgements;
use crate::active_claims::ActiveClaims;
use crate::batch_processor::{BatchProcessor, Retries};
use crate::claim::{BATCH_BYTES_MAX, Claimer};
use crate::due::DueSource;
use crate::failure_log::Failures;
use crate::janitor;
use crate::metrics::{Counters, register_pool};
use crate::reclaim::{Reclaimer, keep_claims};
use crate::spans::BatchSpans;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::Group;

/// A reader that was silent for this long is stuck. It shows life every second, and a read takes no
/// longer than its wait and the response timeout.
const READER_QUIET_MAX: Duration = Duration::from_secs(30);

/// A worker whose dependencies answer and whose admin port is open.
pub struct App {
    settings: Settings,
    processor: Arc<BatchProcessor>,
    liveness: Liveness,
    stopping: Shutdown,
    observer: Observer,
    backlog: Latest,
    admin: AdminServer,
    metrics: Metrics,
}

/// Why the worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] ServerProblem),
    /// The consumer groups could not be created.
    #[error("the consumer groups cannot be created: {0}")]
    Group(String),
    /// PostgreSQL cannot be used.
    #[error(
        "PostgreSQL cannot be used; start it, or correct postgres.url (HARKARA__POSTGRES__URL)"
    )]
    Postgres(#[source] StorageError),
    /// PostgreSQL, or what answers in its place, cannot be trusted, or does not trust us.
    #[error(transparent)]
    PostgresUntrusted(StorageError),
    /// The schema is not one that this binary knows.
    #[error("{0}")]
    Schema(String),
    /// The admin address is not free or not ours.
    #[error(
        "the admin port cannot be opened; worker.admin_bind (HARKARA__WORKER__ADMIN_BIND) changes it"
    )]
    Admin(#[source] AdminError),
}

/// Why a running worker ended other than by being stopped.
#[derive(Debug, thiserror::Error)]
#[error("one of the worker's loops ended: {0}")]
pub struct RunError(String);

impl RunError {
    fn of(ended: Option<Result<(), JoinError>>) -> Self {
        Self(match ended {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) | None => "without being told to".to_owned(),
        })
    }
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Untrusted { .. } => Self::PostgresUntrusted(error),
            other => Self::Postgres(other),
        }
    }
}

impl From<GroupError> for StartError {
    fn from(error: GroupError) -> Self {
        Self::Group(error.to_string())
    }
}

impl App {
    /// Checks what the worker depends on, creates the consumer groups and opens the admin port. Traces go to
    /// `tracer`. Must be
    /// called within a tokio runtime.
    pub async fn build(settings: &Settings, tracer: &Tracer) -> Result<Self, StartError> {
        check_server(&settings.redis).await?.log();
        let database = Pool::new(&PoolSettings {
            url: settings.postgres.url.clone(),
            tls: settings.postgres.tls.clone(),
            application: "harkara-worker",
            connections_max: settings.postgres.pool_max,
            connect_timeout: settings.postgres.connect_timeout,
            statement_timeout: settings.postgres.statement_timeout,
        })?;
        for risk in durability_risks::risks(&database).await? {
            tracing::warn!("{risk}");
        }
        let state: SchemaState = migrations::check(&database).await?;
        if let Some(problem) = state.problem() {
            return Err(StartError::Schema(problem));
        }
        let redis_pool = harkara_streams::pool(&settings.redis);
        let group = Arc::new(Group::new(
            redis_pool.clone(),
            settings.redis.partition,
            settings.worker.consumer.clone(),
        ));
        group.ensure().await?;

        let mut registry = Registry::default();
        build_info::register(&mut registry);
        let counters = Counters::register(&mut registry);
        register_pool(database.clone(), &mut registry);
        tracer.register(&mut registry);
        let worker = &settings.worker;
        let held = Arc::new(ActiveClaims::new());
        let abandon = CancellationToken::new();
        let processor = Arc::new(BatchProcessor {
            permits: Arc::new(Semaphore::new(worker.batches_in_flight_max)),
            database: database.clone(),
            duplicate_hint: DuplicateHint::default(),
            group: group.clone(),
            acknowledgements: Acknowledgements::new(
                group,
                held.clone(),
                counters.clone(),
                abandon.clone(),
            ),
            held,
            retries: Retries(RetryPolicy {
                first: worker.backoff_first,
                max: worker.backoff_max,
                attempts_max: worker.attempts_max,
            }),
            counters,
            failures: Failures::default(),
            trails: BatchSpans {
                tracer: tracer.clone(),
                consumer: worker.consumer.clone(),
                links_only: settings.trace.links_only,
            },
            abandon,
        });
        let liveness = Liveness::default();
        let stopping = Shutdown::manual();
        let backlog = Latest::default();
        harkara_runtime::backlog::register(&backlog, &mut registry);
        let observer = observer(
            redis_pool.clone(),
            settings.redis.partition,
            &settings.worker,
            database.clone(),
        );
        let metrics = Metrics::of(registry);
        let admin = Admin {
            probes: vec![redis_probe(redis_pool), postgres_probe(database)],
            liveness: liveness.clone(),
            metrics: metrics.clone(),
            backlog: backlog.clone(),
            stop: stopping.clone(),
        };
        let admin = admin.serve(worker.admin_bind).map_err(StartError::Admin)?;
        Ok(Self {
            settings: settings.clone(),
            processor,
            liveness,
            stopping,
            observer,
            backlog,
            admin,
            metrics,
        })
    }

    /// Where probes and metrics are served.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.address()
    }

    /// What is scraped there.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Works until `stop` is requested; then claims nothing more, finishes what is in flight within
    /// `worker.stop_deadline`, leaves the consumer group and returns. What could not be finished stays
    /// pending, for another worker to take over.
    pub async fn run_until_stopped(self, stop: Shutdown) -> Result<(), RunError> {
        let worker = self.settings.worker.clone();
        tracing::info!(consumer = worker.consumer, admin.address = %self.admin.address(), "Working.");
        let in_flight = TaskTracker::new();
        let claimer = Claimer {
            processor: self.processor.clone(),
            redis: self.settings.redis.clone(),
            settings: worker.clone(),
            in_flight: in_flight.clone(),
            progress: self
                .liveness
                .watch("reader", READER_QUIET_MAX + worker.read_wait),
        };
        let take_over = Reclaimer {
            processor: self.processor.clone(),
            entries_max: worker.batch_entries_max,
            claim_idle: worker.claim_idle,
            every: worker.reclaim_every,
            claims_max: u64::from(worker.claims_max),
        };
        let due = DueSource {
            processor: self.processor.clone(),
            bounds: LeaseBounds {
                rows_max: worker.batch_entries_max,
                bytes_max: BATCH_BYTES_MAX,
                attempts_max: worker.attempts_max,
                lease: worker.lease,
            },
            poll_every: worker.ledger_poll,
        };
        let mut loops = JoinSet::new();
        let claiming = stop.clone();
        loops.spawn(async move {
            let inherited = take_over.inherited().await;
            tokio::join!(
                claimer.run(claiming.clone()),
                take_over.run(inherited, claiming)
            );
        });
        loops.spawn(due.run(stop.clone()));
        loops.spawn(janitor::run(
            self.processor.clone(),
            worker.consumer_idle,
            stop.clone(),
        ));
        let renewals = tokio::spawn(keep_claims(self.processor.clone(), worker.claim_idle));
        let watching = tokio::spawn(self.observer.watch(self.backlog));

        // The loops end when told to stop, and not before.
        let ended = tokio::select! {
            // In this order: loops that have ended because of the stop are as they should be.
            biased;
            () = stop.requested() => Ok(()),
            ended = loops.join_next() => Err(RunError::of(ended)),
        };
        stop.request();
        self.stopping.request();
        tracing::info!("Stopping: no more entries are claimed.");
        let mut finished = Box::pin(async {
            while loops.join_next().await.is_some() {}
            in_flight.close();
            in_flight.wait().await;
            self.processor.acknowledgements.finish().await;
        });
        if tokio::time::timeout(worker.stop_deadline, &mut finished)
            .await
            .is_err()
        {
            tracing::warn!("Not everything in flight was finished in time; it is handed back.");
            self.processor.abandon.cancel();
            // What is abandoned ends at once; only what does not wait for anything could still run.
            if tokio::time::timeout(ABANDON_BOUND, finished).await.is_err() {
                tracing::error!("Something in flight does not end; its claim counts against it.");
            }
        }
        renewals.abort();
        leave(&self.processor, worker.claim_idle).await;
        watching.abort();
        self.admin.close().await;
        tracing::info!("Stopped.");
        ended
    }
}

/// Gives back what is still pending, and leaves the group on every lane where nothing is.
async fn leave(processor: &BatchProcessor, claim_idle: Duration) {
    let group = &processor.group;
    for lane in Lane::ALL {
        let handed_back = async {
            let mut from = "-".to_owned();
            loop {
                let page = group.own_pending(lane, &from, HANDED_BACK_AT_ONCE).await?;
                let Some(last) = page.last() else {
                    return Ok::<(), GroupError>(());
                };
                from = format!("({}", last.id);
                let untried = |entry| processor.held.is_untried(entry);
                group.hand_back(lane, &page, untried, claim_idle).await?;
            }
        };
        if let Err(error) = handed_back.await {
            tracing::warn!(%lane, %error, "Pending entries could not be handed back; they will be taken over when idle.");
        }
    }
    if let Err(error) = group.deregister().await {
        tracing::warn!(%error, "The consumer could not be removed from its group; another worker will.");
    }
}

/// How long abandoned work may take to notice.
const ABANDON_BOUND: Duration = Duration::from_secs(2);

/// Entries handed back in one round trip.
const HANDED_BACK_AT_ONCE: usize = 500;

fn observer(
    redis: harkara_streams::Pool,
    partition: u16,
    worker: &WorkerSettings,
    database: Pool,
) -> Observer {
    Observer::new(redis, partition, worker, move || {
        let database = database.clone();
        async move { ledger::due_backlog(&database, ledger::DUE_COUNTED_MAX).await }
    })
}

fn redis_probe(pool: harkara_streams::Pool) -> Probe {
    Probe::new("redis", move || {
        let pool = pool.clone();
        async move {
            harkara_streams::ping(&pool)
                .await
                .map_err(|error| with_causes(&error))
        }
    })
}

fn postgres_probe(database: Pool) -> Probe {
    Probe::new("postgres", move || {
        let database = database.clone();
        async move { database.ping().await.map_err(|e| e.full()) }
    })
}
