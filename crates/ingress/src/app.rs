//! The ingress as an application: built from settings, run until its shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use harkara_runtime::admin::{Admin, AdminServer, Degraded, Liveness, Progress};
use harkara_runtime::shutdown::Shutdown;
use harkara_runtime::{build_info, logging};
use harkara_settings::Settings;
use harkara_storage::{Pool, PoolSettings};
use harkara_streams::backlog::{Latest, Observer};
use harkara_streams::fitness::FitnessCheck;
use harkara_streams::{Confirmations, Deployment};
use harkara_telemetry::{Metrics, Tracer};
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::breaker::{Breaker, HealthCheck, Reason, startup_check};
use crate::connections::OpenConnections;
use crate::durable_sink::Stores;
use crate::inbox::Inbox;
use crate::metrics::{BreakerGauge, Counters};
use crate::refusals::Refusals;
use crate::rules::Rules;
use crate::secrets::{LiveSecrets, SecretsReload};
use crate::server::{Shared, listen};
use crate::start_error::{RunError, StartError};
use crate::tls::Tls;
use crate::{APPLICATION, readiness, schema_check};

/// Connections for the check of the schema and for counting due rows: one statement at a time. The inbox's
/// connections are for deliveries alone.
const OBSERVING_CONNECTIONS: usize = 1;

/// An ingress with bound ports, which serves once it is run.
pub struct App {
    public_addr: SocketAddr,
    is_tls: bool,
    server: Server,
    draining: Draining,
    /// Tasks that run until the last request is answered.
    background: JoinSet<()>,
    /// Kept here so that `/livez` reports a health check that ended by itself.
    health_progress: Arc<Progress>,
    admin: AdminServer,
    metrics: Metrics,
}

/// The two steps of a shutdown, and the time between them.
struct Draining {
    /// Turns the admin port unready.
    unready: Shutdown,
    connections: OpenConnections,
    lasts: Duration,
    /// Stops the server.
    shutdown: Shutdown,
}

/// The parts that building adds to.
struct Builder<'a> {
    settings: &'a Settings,
    tracer: &'a Tracer,
    registry: Registry,
    background: JoinSet<()>,
    liveness: Liveness,
    shutdown: Shutdown,
}

impl App {
    /// Checks the dependencies of the ingress and binds its ports. Traces go to `tracer`. Must be called
    /// within a tokio runtime.
    pub async fn build(settings: &Settings, tracer: &Tracer) -> Result<Self, StartError> {
        if settings.endpoints.is_empty() {
            return Err(StartError::NoEndpoints);
        }
        let tls = settings.ingress.tls.as_ref().map(Tls::read).transpose();
        let tls = tls.map_err(StartError::Certificate)?;
        let database = Pool::new(&PoolSettings {
            connections_max: OBSERVING_CONNECTIONS,
            ..PoolSettings::of(&settings.postgres, APPLICATION)
        })
        .map_err(StartError::Backlog)?;
        schema_check::check(&database).await?;
        let deployment = Deployment::of(settings);
        if let Err(error) = deployment.identify(&database).await {
            tracing::debug!(error = error.full(), "Could not read the id of the ledger.");
        }
        let found = startup_check(&deployment, &settings.redis, &settings.ingress).await?;

        let mut builder = Builder::new(settings, tracer);
        let redis = harkara_streams::pool(&settings.redis);
        let (breaker, health_progress) = builder.breaker(&deployment, found);
        let inbox = builder.inbox()?;
        let backlog = builder.backlog(deployment.clone(), &redis, database);
        let is_tls = tls.is_some();
        let connections = builder.connections();
        let draining = Draining {
            unready: Shutdown::manual(),
            connections: connections.clone(),
            lasts: settings.ingress.drain,
            shutdown: builder.shutdown.clone(),
        };
        let (public_addr, server) =
            builder.server(tls, connections, deployment, breaker.clone(), inbox.clone())?;
        let metrics = Metrics::of(builder.registry);
        let admin = Admin {
            probes: readiness::probes(breaker, redis, inbox),
            liveness: builder.liveness,
            metrics: metrics.clone(),
            backlog,
            degraded: Degraded::default(),
            stop: draining.unready.clone(),
        };
        let admin = admin.serve(settings.ingress.admin_bind);
        Ok(Self {
            public_addr,
            is_tls,
            server,
            draining,
            background: builder.background,
            health_progress,
            admin: admin.map_err(StartError::Admin)?,
            metrics,
        })
    }

    /// The address of the public port.
    #[must_use]
    pub fn public_addr(&self) -> SocketAddr {
        self.public_addr
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

    /// Serves until `stop` is requested, then turns unready, still serves for `ingress.drain` with answers that close
    /// their connections, accepts no more connections, finishes the requests in flight within
    /// `ingress.stop_deadline`, and returns.
    pub async fn run_until_stopped(mut self, stop: Shutdown) -> Result<(), RunError> {
        tracing::info!(
            ingress.address = %self.public_addr,
            ingress.tls = self.is_tls,
            admin.address = %self.admin.address(),
            "Receiving webhooks."
        );
        self.background.spawn(self.draining.run(stop));
        let served = self.server.await;
        drop(self.background);
        drop(self.health_progress);
        self.admin.close().await;
        tracing::info!("Stopped.");
        served.map_err(RunError)
    }
}

impl Draining {
    /// Takes both steps once `stop` is requested.
    async fn run(self, stop: Shutdown) {
        stop.requested().await;
        self.unready.request();
        self.connections.drain();
        if !self.lasts.is_zero() {
            tracing::info!(
                drain_ms = self.lasts.as_millis(),
                "Stopping; requests are still taken for a while."
            );
            tokio::time::sleep(self.lasts).await;
        }
        self.shutdown.request();
    }
}

impl<'a> Builder<'a> {
    fn new(settings: &'a Settings, tracer: &'a Tracer) -> Self {
        let mut registry = Registry::default();
        build_info::register(&mut registry);
        logging::register(&mut registry);
        tracer.register(&mut registry);
        Self {
            settings,
            tracer,
            registry,
            background: JoinSet::new(),
            liveness: Liveness::default(),
            shutdown: Shutdown::manual(),
        }
    }

    /// The breaker, and what shows that its health check runs.
    fn breaker(
        &mut self,
        deployment: &Deployment,
        found: Result<Confirmations, Reason>,
    ) -> (Arc<Breaker>, Arc<Progress>) {
        let Settings { redis, ingress, .. } = self.settings;
        let gauge = BreakerGauge::register(&mut self.registry);
        let breaker = Arc::new(Breaker::new(found, gauge));
        let check = FitnessCheck::new(deployment.clone(), redis, ingress);
        let health_check = HealthCheck::new(breaker.clone(), check, ingress, &self.liveness);
        let progress = health_check.progress();
        self.background.spawn(health_check.run());
        (breaker, progress)
    }

    /// The inbox, if there is one, with a background task that keeps it warm.
    fn inbox(&mut self) -> Result<Option<Inbox>, StartError> {
        let inbox = Inbox::open(self.settings, &mut self.registry).map_err(StartError::Inbox)?;
        if let Some(inbox) = &inbox {
            self.background.spawn(inbox.clone().keep_warm());
        }
        Ok(inbox)
    }

    /// The latest backlog, which a background task samples.
    fn backlog(
        &mut self,
        deployment: Deployment,
        redis: &harkara_streams::Pool,
        database: Pool,
    ) -> Latest {
        let latest = Latest::default();
        harkara_runtime::backlog::register(&latest, &mut self.registry);
        let observer = Observer::of(self.settings, deployment, redis.clone(), database);
        self.background.spawn(observer.watch(latest.clone()));
        latest
    }

    /// The rules. Background tasks reload the endpoints' secrets and diagnose refusals.
    fn rules(&mut self) -> Rules {
        let registry = &mut self.registry;
        let secrets = LiveSecrets::of_all(&self.settings.endpoints, registry);
        let poll_every = self.settings.ingress.secrets_poll;
        let reload = SecretsReload::new(&secrets, poll_every, registry);
        let (refusals, diagnosis) = Refusals::of_all(&secrets, registry);
        self.background.spawn(reload.run());
        self.background.spawn(diagnosis.run());
        Rules::new(self.settings, secrets, refusals, registry)
    }

    /// The open connections. A background task closes those that exceed their bounds.
    fn connections(&mut self) -> OpenConnections {
        let connections = OpenConnections::new(self.settings, &mut self.registry);
        self.background.spawn(connections.clone().watch());
        connections
    }

    /// Binds the public port. A background task reloads the certificate.
    fn server(
        &mut self,
        tls: Option<Tls>,
        connections: OpenConnections,
        deployment: Deployment,
        breaker: Arc<Breaker>,
        inbox: Option<Inbox>,
    ) -> Result<(SocketAddr, Server), StartError> {
        let ingress = &self.settings.ingress;
        let counters = Counters::register(&mut self.registry);
        let shared = Shared {
            rules: Arc::new(self.rules()),
            stores: Stores {
                breaker,
                inbox,
                redis: self.settings.redis.clone(),
                deployment,
                append_timeout: ingress.append_timeout,
                append_group: counters.append_group.clone(),
            },
            counters,
            liveness: self.liveness.clone(),
            tracer: self.tracer.clone(),
        };
        let shutdown = self.shutdown.clone();
        let bound = listen(ingress, tls.as_ref(), shared, connections, shutdown)?;
        if let Some(tls) = tls {
            self.background.spawn(tls.reload());
        }
        Ok(bound)
    }
}
