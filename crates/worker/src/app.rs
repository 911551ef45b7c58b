//! The worker as an application: built from settings, run until its shutdown.

mod errors;
mod parts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_runtime::admin::{Admin, AdminServer, Degraded, Liveness, Probe};
use harkara_runtime::shutdown::Shutdown;
use harkara_runtime::{build_info, logging};
use harkara_settings::{PostgresSettings, Settings};
use harkara_storage::migrations::{self, SchemaState};
use harkara_storage::{Pool, PoolSettings, durability_risks};
use harkara_streams::backlog::{Latest, Observer};
use harkara_streams::consumer_group::Group;
use harkara_streams::{Deployment, check_server};
use harkara_telemetry::{Metrics, Tracer};
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::batch_processor::BatchProcessor;
use crate::membership::Membership;
use crate::metrics::register_pool;
use crate::unavailable_tables::UnavailableTables;
pub use errors::{RunError, StartError};
use parts::{Loops, Parts};

/// How long batches may take to end once they are abandoned. Only one that awaits nothing takes longer.
const ABANDON_BOUND: Duration = Duration::from_secs(2);

/// Longest wait for a lock. A batch fails that waits longer, and is tried again without the events of the locked
/// table: others are committed within a second. Between workers, locks on rows last for milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// A worker whose dependencies are available and whose admin port is open.
pub struct App {
    consumer: String,
    stop_deadline: Duration,
    loops: Loops,
    group: Arc<Group>,
    processor: Arc<BatchProcessor>,
    membership: Membership,
    /// Stops the loops and turns the admin port unready.
    shutdown: Shutdown,
    observer: Observer,
    backlog: Latest,
    admin: AdminServer,
    metrics: Metrics,
}

impl App {
    /// Checks the dependencies of the worker, creates the consumer groups and opens the admin port. Traces go
    /// to `tracer`. Must be called within a tokio runtime.
    pub async fn build(settings: &Settings, tracer: &Tracer) -> Result<Self, StartError> {
        check_server(&settings.redis).await?.log();
        let database = open_database(&settings.postgres).await?;
        let deployment = Deployment::of(settings);
        deployment.identify(&database).await?;
        let redis = harkara_streams::pool(&settings.redis);
        let group = open_group(settings, &deployment).await?;

        let mut registry = Registry::default();
        build_info::register(&mut registry);
        logging::register(&mut registry);
        tracer.register(&mut registry);
        register_pool(database.clone(), &mut registry);
        let parts = Parts::new(
            settings,
            database.clone(),
            group.clone(),
            tracer,
            &mut registry,
        );
        let backlog = Latest::default();
        harkara_runtime::backlog::register(&backlog, &mut registry);
        let metrics = Metrics::of(registry);

        let shutdown = Shutdown::manual();
        let liveness = Liveness::default();
        let loops = parts.loops(&liveness, &shutdown);
        let observer = Observer::of(settings, deployment, redis.clone(), database.clone());
        let admin = Admin {
            probes: vec![redis_probe(redis), postgres_probe(database)],
            liveness,
            metrics: metrics.clone(),
            backlog: backlog.clone(),
            degraded: unavailable_tables(parts.unavailable.clone()),
            stop: shutdown.clone(),
        };
        let admin = admin.serve(settings.worker.admin_bind);
        Ok(Self {
            consumer: settings.worker.consumer.clone(),
            stop_deadline: settings.worker.stop_deadline,
            loops,
            group,
            membership: parts.membership(),
            processor: parts.processor,
            shutdown,
            observer,
            backlog,
            admin: admin.map_err(StartError::Admin)?,
            metrics,
        })
    }

    /// The address of the admin port.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The metrics that the admin port serves.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Works until `stop` is requested, then claims nothing more, finishes what is in flight within
    /// `worker.stop_deadline`, leaves the consumer group and returns. What could not be finished stays pending
    /// for another worker. It also ends once the streams are found to be another deployment's.
    pub async fn run_until_stopped(self, stop: Shutdown) -> Result<(), RunError> {
        tracing::info!(consumer = self.consumer, admin.address = %self.admin.address(), "Working.");
        let mut loops: JoinSet<()> = self.loops.into_iter().collect();
        let keeping = tokio::spawn(self.membership.clone().keep());
        let observing = tokio::spawn(self.observer.watch(self.backlog));
        let ended = tokio::select! {
            () = stop.requested() => Ok(()),
            ended = loops.join_next() => Err(RunError::of(ended)),
            foreign = self.group.foreign() => Err(RunError::Foreign(foreign)),
        };
        self.shutdown.request();
        tracing::info!("Stopping; no more entries are claimed.");
        drain(loops, &self.processor, self.stop_deadline).await;
        keeping.abort();
        self.membership.leave().await;
        observing.abort();
        self.admin.close().await;
        tracing::info!("Stopped.");
        ended
    }
}

/// Waits for the batches in flight and their acknowledgements, and abandons them at the stop deadline.
async fn drain(mut loops: JoinSet<()>, processor: &BatchProcessor, stop_deadline: Duration) {
    let mut drained = Box::pin(async {
        while loops.join_next().await.is_some() {}
        processor.in_flight.close();
        processor.in_flight.wait().await;
        processor.acknowledgements.finish().await;
    });
    if tokio::time::timeout(stop_deadline, &mut drained)
        .await
        .is_ok()
    {
        return;
    }
    tracing::warn!("Not everything in flight finished before the stop deadline; handing it back.");
    processor.abandon.cancel();
    if tokio::time::timeout(ABANDON_BOUND, drained).await.is_err() {
        tracing::error!(
            "A batch did not finish before the stop deadline; its delivery count was increased."
        );
    }
}

/// Connects to PostgreSQL, logs what makes it less durable and checks its schema.
async fn open_database(settings: &PostgresSettings) -> Result<Pool, StartError> {
    let database = Pool::new(&PoolSettings {
        lock_timeout: Some(LOCK_TIMEOUT),
        ..PoolSettings::of(settings, "harkara-worker")
    })?;
    for risk in durability_risks::risks(&database).await? {
        tracing::warn!("{risk}");
    }
    match migrations::check(&database).await? {
        SchemaState::Fits => Ok(database),
        state => Err(StartError::Schema(state)),
    }
}

/// The consumer group, whose streams and groups exist and are this deployment's.
async fn open_group(
    settings: &Settings,
    deployment: &Deployment,
) -> Result<Arc<Group>, StartError> {
    let consumer = settings.worker.consumer.clone();
    let group = Group::new(&settings.redis, deployment.clone(), consumer);
    group.ensure().await?;
    Ok(Arc::new(group))
}

fn redis_probe(pool: harkara_streams::Pool) -> Probe {
    Probe::new("redis", move || {
        let pool = pool.clone();
        async move {
            let answer = harkara_streams::ping(&pool).await;
            answer.map_err(|error| with_causes(&error))
        }
    })
}

fn postgres_probe(database: Pool) -> Probe {
    Probe::new("postgres", move || {
        let database = database.clone();
        async move { database.ping().await.map_err(|error| error.full()) }
    })
}

/// A worker with an unavailable table is ready, since it processes the events of the others.
fn unavailable_tables(unavailable: UnavailableTables) -> Degraded {
    Degraded::new(move || {
        let reasons = unavailable.reasons().into_iter();
        let reasons = reasons.map(|(table, reason)| format!("{table} cannot be written: {reason}"));
        reasons.collect()
    })
}
