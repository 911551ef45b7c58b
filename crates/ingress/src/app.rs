//! The ingress as an application: built from settings, run until told to stop.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Server;
use actix_web::http::header::HeaderValue;
use actix_web::{HttpServer, web};
use harkara_runtime::admin::{Admin, AdminError, AdminServer, Liveness};
use harkara_runtime::build_info;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::{IngressSettings, RedisSettings, Settings};
use harkara_storage::StorageError;
use harkara_streams::ServerProblem;
use harkara_streams::backlog::{Latest, Observer};
use harkara_telemetry::Metrics;
use harkara_telemetry::Tracer;
use harkara_tls::PemFault;
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;

use crate::admission::buffered::Buffered;
use crate::admission::{Admission, Gate};
use crate::backlog;
use crate::breaker::{Breaker, HealthCheck, startup_check};
use crate::connections::Connections;
use crate::descriptors;
use crate::durable_sink::DurableSink;
use crate::endpoint_health::{self, EndpointHealth};
use crate::inbox::Inbox;
use crate::metrics::{BreakerGauge, Counters};
use crate::readiness;
use crate::receive::{Endpoint, Receiver, Rules, routes};
use crate::refusals::{Diagnoses, Refusals};
use crate::schema_check::{self, UnknownSchema};
use crate::secrets::{LiveSecrets, SecretUsage, SecretsReload};
use crate::tls::Tls;
use harkara_streams::LevelNotGiven;

/// How often each server thread shows that it moves.
const TICK: Duration = Duration::from_secs(1);

/// A server thread that was silent for this long is stuck: nothing it does may take a tenth of it.
const THREAD_QUIET_MAX: Duration = Duration::from_secs(15);

/// How long a connection is still read, and what comes thrown away, after an answer to a request
/// whose body was not read: closing at once could destroy the answer on its way.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// An ingress whose ports are open and which serves once it is run.
pub struct App {
    public_addr: SocketAddr,
    server: Server,
    stopping: Shutdown,
    health_check: HealthCheck,
    connections: Connections,
    tls: Option<Tls>,
    secrets_reload: SecretsReload,
    diagnoses: Diagnoses,
    observer: Observer,
    backlog: Latest,
    admin: AdminServer,
    metrics: Metrics,
}

/// Why the ingress did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing could be verified.
    #[error(
        "no endpoint is configured, so no delivery could be verified; give the webhook's secret as HARKARA__ENDPOINTS__DEFAULT__SECRETS or in the section [endpoints.default] of the settings file"
    )]
    NoEndpoints,
    /// Redis cannot hold deliveries.
    #[error(transparent)]
    Redis(#[from] ServerProblem),
    /// Redis cannot give the durability asked for.
    #[error(transparent)]
    Level(#[from] LevelNotGiven),
    /// The connections of the inbox could not be laid out.
    #[error("the inbox cannot be set up")]
    Inbox(#[source] StorageError),
    /// The connection by which the ledger is counted could not be laid out.
    #[error("the backlog cannot be observed")]
    Backlog(#[source] StorageError),
    /// The database schema is not one that this binary knows.
    #[error(transparent)]
    Schema(#[from] UnknownSchema),
    /// There is no certificate to receive with.
    #[error(
        "webhooks cannot be received over TLS; correct ingress.tls_certificate_file (HARKARA__INGRESS__TLS_CERTIFICATE_FILE) and ingress.tls_key_file (HARKARA__INGRESS__TLS_KEY_FILE)"
    )]
    Certificate(#[source] PemFault),
    /// The public address is not free or not ours.
    #[error(
        "the address {address} cannot be listened on; is another process using it? ingress.bind (HARKARA__INGRESS__BIND) changes it"
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The admin address is not free or not ours.
    #[error(
        "the admin port cannot be opened; ingress.admin_bind (HARKARA__INGRESS__ADMIN_BIND) changes it"
    )]
    Admin(#[source] AdminError),
}

/// Why a running ingress ended other than by being stopped.
#[derive(Debug, thiserror::Error)]
#[error("the server failed")]
pub struct RunError(#[source] io::Error);

/// What the server threads share.
struct Shared {
    rules: Arc<Rules>,
    redis: RedisSettings,
    append_timeout: Duration,
    breaker: Arc<Breaker>,
    inbox: Option<Inbox>,
    counters: Counters,
    liveness: Liveness,
    tracer: Tracer,
}

impl App {
    /// Checks what the ingress depends on and opens its ports. Traces go to `tracer`. Must be called within a
    /// tokio runtime.
    pub async fn build(settings: &Settings, tracer: &Tracer) -> Result<Self, StartError> {
        if settings.endpoints.is_empty() {
            return Err(StartError::NoEndpoints);
        }
        let tls = settings.ingress.tls.as_ref().map(Tls::read).transpose();
        let tls = tls.map_err(StartError::Certificate)?;
        let found = startup_check(&settings.redis, &settings.ingress).await?;
        schema_check::check(&settings.postgres).await?;
        let mut registry = Registry::default();
        build_info::register(&mut registry);
        let inbox = Inbox::open(&settings.ingress, &settings.postgres, &mut registry)
            .map_err(StartError::Inbox)?;
        let secrets = live_secrets(settings, &SecretUsage::register(&mut registry));
        let secrets_poll = settings.ingress.secrets_poll;
        let secrets_reload = SecretsReload::new(&secrets, secrets_poll, &mut registry);
        let (refusals, diagnoses) = Refusals::of_all(&secrets, &mut registry);
        let rules = Arc::new(rules(settings, secrets, refusals));
        rules.buffered.register(&mut registry);
        let endpoints = rules.endpoints.values();
        endpoint_health::register(
            endpoints
                .map(|endpoint| (endpoint.name.clone(), endpoint.health.clone()))
                .collect(),
            &mut registry,
        );
        let breaker = Arc::new(Breaker::new(found, BreakerGauge::register(&mut registry)));
        let shared = Arc::new(Shared {
            rules,
            redis: settings.redis.clone(),
            append_timeout: settings.ingress.append_timeout,
            breaker: breaker.clone(),
            inbox: inbox.clone(),
            counters: Counters::register(&mut registry),
            liveness: Liveness::default(),
            tracer: tracer.clone(),
        });
        let latest = Latest::default();
        harkara_runtime::backlog::register(&latest, &mut registry);
        let redis = harkara_streams::pool(&settings.redis);
        let observer = backlog::observer(
            redis.clone(),
            settings.redis.partition,
            &settings.postgres,
            &settings.worker,
        )
        .map_err(StartError::Backlog)?;
        tracer.register(&mut registry);
        let stopping = Shutdown::manual();
        let health_check = HealthCheck::new(
            breaker.clone(),
            &settings.redis,
            &settings.ingress,
            &shared.liveness,
        );
        descriptors::allow_connections(settings.ingress.connections_max);
        let connections = Connections::new(idle_max(&settings.ingress));
        let (public_addr, server) = listen(
            &settings.ingress,
            tls.as_ref(),
            &shared,
            &connections,
            &stopping,
        )?;
        let metrics = Metrics::of(registry);
        let admin = Admin {
            probes: readiness::probes(breaker, redis, inbox),
            liveness: shared.liveness.clone(),
            metrics: metrics.clone(),
            backlog: latest.clone(),
            stop: stopping.clone(),
        };
        let admin = admin
            .serve(settings.ingress.admin_bind)
            .map_err(StartError::Admin)?;
        Ok(Self {
            public_addr,
            server,
            stopping,
            health_check,
            connections,
            tls,
            secrets_reload,
            diagnoses,
            observer,
            backlog: latest,
            admin,
            metrics,
        })
    }

    /// Where webhooks are received.
    #[must_use]
    pub fn public_addr(&self) -> SocketAddr {
        self.public_addr
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

    /// Serves until `stop` is requested, then turns unready, takes no more connections, finishes the
    /// requests in flight within `ingress.stop_deadline`, and returns.
    pub async fn run_until_stopped(self, stop: Shutdown) -> Result<(), RunError> {
        tracing::info!(
            ingress.address = %self.public_addr,
            ingress.tls = self.tls.is_some(),
            admin.address = %self.admin.address(),
            "Receiving webhooks."
        );
        let stopping = self.stopping;
        let pass_on = tokio::spawn(async move {
            stop.requested().await;
            stopping.request();
        });
        // It goes on until the last request is answered. Should it end by itself, what is kept here shows
        // on /livez that it stands still.
        let _watched = self.health_check.progress();
        let watching = tokio::spawn(self.health_check.run());
        let closing_idle = tokio::spawn(self.connections.close_idle());
        let keeping_fresh = self.tls.map(|tls| tokio::spawn(tls.keep_fresh()));
        let reloading = tokio::spawn(self.secrets_reload.run());
        let diagnosing = tokio::spawn(self.diagnoses.run());
        let observing = tokio::spawn(self.observer.watch(self.backlog));
        let served = self.server.await;
        pass_on.abort();
        watching.abort();
        closing_idle.abort();
        keeping_fresh.inspect(JoinHandle::abort);
        reloading.abort();
        diagnosing.abort();
        observing.abort();
        self.admin.close().await;
        tracing::info!("Stopped.");
        served.map_err(RunError)
    }
}

/// The secrets of each endpoint, in the order of the settings.
fn live_secrets(settings: &Settings, usage: &SecretUsage) -> Vec<Arc<LiveSecrets>> {
    let endpoints = settings.endpoints.iter();
    endpoints
        .map(|(name, endpoint)| Arc::new(LiveSecrets::new(name, endpoint, usage)))
        .collect()
}

fn rules(settings: &Settings, secrets: Vec<Arc<LiveSecrets>>, refusals: Vec<Refusals>) -> Rules {
    let began = Instant::now();
    let endpoints: HashMap<String, Endpoint> = secrets
        .into_iter()
        .zip(refusals)
        .map(|(secrets, refusals)| {
            let name = secrets.endpoint().clone();
            let allow = settings.endpoints[&name].allow.clone();
            (
                name.as_str().to_owned(),
                Endpoint {
                    name,
                    secrets,
                    refusals,
                    gate: Gate::new(allow, settings.ingress.endpoint_rate),
                    health: EndpointHealth::new(began),
                },
            )
        })
        .collect();
    let ingress = &settings.ingress;
    Rules {
        endpoints,
        lanes: settings.lanes.clone(),
        admission: Admission::new(ingress),
        buffered: Buffered::new(ingress.buffered_bytes_max),
        body_bytes_max: ingress.body_bytes_max,
        header_bytes_max: ingress.header_bytes_max,
        body_read_timeout: ingress.body_read_timeout,
        retry_after: HeaderValue::from(ingress.retry_after_s),
    }
}

fn listen(
    settings: &IngressSettings,
    tls: Option<&Tls>,
    shared: &Arc<Shared>,
    connections: &Connections,
    stopping: &Shutdown,
) -> Result<(SocketAddr, Server), StartError> {
    let address = settings.bind;
    let on_thread = shared.clone();
    let connections = connections.clone();
    let stopping = stopping.clone();
    // The closure runs once on each server thread.
    let server = HttpServer::new(move || {
        let receiver = web::Data::new(on_thread.receiver());
        on_thread.tick();
        actix_web::App::new().app_data(receiver).configure(routes)
    })
    .on_connect(move |stream, extensions| connections.opened(stream, extensions))
    .workers(settings.threads)
    .max_connections(settings.connections_max.div_ceil(settings.threads))
    .keep_alive(settings.keep_alive)
    .client_request_timeout(settings.header_read_timeout)
    .client_disconnect_timeout(CLOSE_WAIT)
    .shutdown_timeout(whole_seconds(settings.stop_deadline))
    .shutdown_signal(async move { stopping.requested().await })
    .tls_handshake_timeout(settings.header_read_timeout)
    .tcp_nodelay(true);
    let server = match tls {
        None => server.bind(address),
        Some(tls) => server.bind_rustls_0_23(address, tls.config()),
    };
    let server = server.map_err(|source| StartError::Bind { address, source })?;
    let bound = *server.addrs().first().expect("one address was bound");
    Ok((bound, server.run()))
}

/// How long a connection that is not quiet may be without a new request: one request, then the quiet time
/// that is allowed, then the head of the next.
fn idle_max(settings: &IngressSettings) -> Duration {
    settings.body_read_timeout
        + settings.append_timeout
        + settings.inbox_timeout
        + settings.keep_alive
        + settings.header_read_timeout
}

/// The server counts its deadline in whole seconds; a part of one is rounded up.
fn whole_seconds(deadline: Duration) -> u64 {
    deadline.as_secs() + u64::from(deadline.subsec_nanos() > 0)
}

impl Shared {
    fn receiver(&self) -> Receiver {
        Receiver {
            rules: self.rules.clone(),
            sink: DurableSink::new(
                self.breaker.clone(),
                self.inbox.clone(),
                &self.redis,
                self.append_timeout,
                &self.counters.append_group,
            ),
            counters: self.counters.clone(),
            tracer: self.tracer.clone(),
        }
    }

    /// Shows on `/livez` that this server thread moves, for as long as the thread lives.
    fn tick(&self) {
        let name = std::thread::current()
            .name()
            .unwrap_or("server thread")
            .to_owned();
        let progress = self.liveness.watch(name, THREAD_QUIET_MAX);
        actix_web::rt::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                progress.touch();
            }
        });
    }
}
