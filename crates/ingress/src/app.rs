//! The ingress as an application: built from settings, run until its shutdown.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Server;
use harkara_runtime::admin::{Admin, AdminServer, Liveness, Progress};
use harkara_runtime::build_info;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_streams::backlog::Latest;
use harkara_telemetry::{Metrics, Tracer};
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::breaker::{Breaker, HealthCheck, startup_check};
use crate::connections::Connections;
use crate::inbox::Inbox;
use crate::metrics::{BreakerGauge, Counters};
use crate::refusals::Refusals;
use crate::rules::Rules;
use crate::secrets::{LiveSecrets, SecretsReload};
use crate::server::{Shared, listen};
use crate::start_error::{RunError, StartError};
use crate::tls::Tls;
use crate::{backlog, descriptors, readiness, schema_check};

/// An ingress with bound ports, which serves once it is run.
pub struct App {
    public_addr: SocketAddr,
    is_tls: bool,
    server: Server,
    /// Stops the server and turns the admin port unready.
    shutdown: Shutdown,
    background: Background,
    /// Kept here so that `/livez` reports a health check that ended by itself.
    health_progress: Arc<Progress>,
    admin: AdminServer,
    metrics: Metrics,
}

/// Tasks that run until the last request is answered.
#[derive(Default)]
struct Background(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl App {
    /// Checks the dependencies of the ingress and binds its ports. Traces go to `tracer`. Must be called
    /// within a tokio runtime.
    pub async fn build(settings: &Settings, tracer: &Tracer) -> Result<Self, StartError> {
        if settings.endpoints.is_empty() {
            return Err(StartError::NoEndpoints);
        }
        let tls = settings.ingress.tls.as_ref().map(Tls::read).transpose();
        let tls = tls.map_err(StartError::Certificate)?;
        let found = startup_check(&settings.redis, &settings.ingress).await?;
        schema_check::check(&settings.postgres).await?;

        let mut registry = Registry::default();
        let mut background = Background::default();
        build_info::register(&mut registry);
        tracer.register(&mut registry);
        let breaker = Breaker::new(found, BreakerGauge::register(&mut registry));
        let breaker = Arc::new(breaker);
        let inbox = Inbox::open(&settings.ingress, &settings.postgres, &mut registry);
        let inbox = inbox.map_err(StartError::Inbox)?;
        let rules = rules(settings, &mut registry, &mut background);
        let redis = harkara_streams::pool(&settings.redis);
        let backlog = observed_backlog(settings, &redis, &mut registry, &mut background)?;

        let liveness = Liveness::default();
        let health_check = HealthCheck::new(
            breaker.clone(),
            &settings.redis,
            &settings.ingress,
            &liveness,
        );
        let health_progress = health_check.progress();
        background.add(health_check.run());
        descriptors::raise_limit(settings.ingress.connections_max);
        let connections = Connections::of(&settings.ingress);
        background.add(connections.clone().close_idle());

        let shared = Shared {
            rules: Arc::new(rules),
            redis: settings.redis.clone(),
            append_timeout: settings.ingress.append_timeout,
            breaker: breaker.clone(),
            inbox: inbox.clone(),
            counters: Counters::register(&mut registry),
            liveness: liveness.clone(),
            tracer: tracer.clone(),
        };
        let shutdown = Shutdown::manual();
        let (public_addr, server) = listen(
            &settings.ingress,
            tls.as_ref(),
            shared,
            connections,
            shutdown.clone(),
        )?;
        let is_tls = tls.is_some();
        if let Some(tls) = tls {
            background.add(tls.reload());
        }
        let metrics = Metrics::of(registry);
        let admin = Admin {
            probes: readiness::probes(breaker, redis, inbox),
            liveness,
            metrics: metrics.clone(),
            backlog,
            stop: shutdown.clone(),
        };
        let admin = admin.serve(settings.ingress.admin_bind);
        Ok(Self {
            public_addr,
            is_tls,
            server,
            shutdown,
            background,
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

    /// Serves until `stop` is requested, then turns unready, accepts no more connections, finishes the
    /// requests in flight within `ingress.stop_deadline`, and returns.
    pub async fn run_until_stopped(mut self, stop: Shutdown) -> Result<(), RunError> {
        tracing::info!(
            ingress.address = %self.public_addr,
            ingress.tls = self.is_tls,
            admin.address = %self.admin.address(),
            "Receiving webhooks."
        );
        let shutdown = self.shutdown;
        self.background.add(async move {
            stop.requested().await;
            shutdown.request();
        });
        let background: JoinSet<()> = self.background.0.into_iter().collect();
        let served = self.server.await;
        drop(background);
        drop(self.health_progress);
        self.admin.close().await;
        tracing::info!("Stopped.");
        served.map_err(RunError)
    }
}

impl Background {
    fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Box::pin(task));
    }
}

/// The rules with the endpoints' live secrets, which background tasks reload and diagnose refusals with.
fn rules(settings: &Settings, registry: &mut Registry, background: &mut Background) -> Rules {
    let secrets = LiveSecrets::of_all(&settings.endpoints, registry);
    let reload = SecretsReload::new(&secrets, settings.ingress.secrets_poll, registry);
    let (refusals, diagnosis) = Refusals::of_all(&secrets, registry);
    background.add(reload.run());
    background.add(diagnosis.run());
    Rules::new(settings, secrets, refusals, registry)
}

/// The latest backlog, which a background task samples.
fn observed_backlog(
    settings: &Settings,
    redis: &harkara_streams::Pool,
    registry: &mut Registry,
    background: &mut Background,
) -> Result<Latest, StartError> {
    let latest = Latest::default();
    harkara_runtime::backlog::register(&latest, registry);
    let observer = backlog::observer(settings, redis.clone()).map_err(StartError::Backlog)?;
    background.add(observer.watch(latest.clone()));
    Ok(latest)
}
