//! The server of the public port and its threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{ServiceFactoryExt as _, map_config};
use actix_web::dev::{AppConfig, Server, fn_service};
use actix_web::web;
use harkara_runtime::admin::Liveness;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::IngressSettings;
use harkara_telemetry::Tracer;

use crate::connections::{Acceptor, ClientStream, NotServed, OpenConnections, listener};
use crate::durable_sink::{DurableSink, Stores};
use crate::metrics::Counters;
use crate::receive::{Receiver, routes};
use crate::rules::Rules;
use crate::start_error::StartError;
use crate::tls::Tls;

/// How often each server thread shows that it runs.
const TICK: Duration = Duration::from_secs(1);

/// A server thread that was silent for this long is stuck: nothing that it does takes a tenth of it.
const TICK_MAX: Duration = Duration::from_secs(15);

/// How long a connection is still read, and its bytes discarded, after the answer to a request whose body
/// was not read: closing immediately could destroy the answer in transit.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What the server threads share.
pub(crate) struct Shared {
    pub(crate) rules: Arc<Rules>,
    pub(crate) stores: Stores,
    pub(crate) counters: Counters,
    pub(crate) liveness: Liveness,
    pub(crate) tracer: Tracer,
}

/// Binds the public port. The server answers once it is awaited.
pub(crate) fn listen(
    settings: &IngressSettings,
    tls: Option<&Tls>,
    shared: Shared,
    connections: OpenConnections,
    shutdown: Shutdown,
) -> Result<(SocketAddr, Server), StartError> {
    let failed = |source| StartError::Bind {
        address: settings.bind,
        source,
    };
    let listener = listener(settings.bind).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let slots_per_thread = connections.slots().div_ceil(settings.threads);
    let acceptor = Acceptor::new(
        connections,
        tls.map(Tls::config),
        settings.header_read_timeout,
    );
    let server = Server::build()
        .workers(settings.threads)
        .max_concurrent_connections(slots_per_thread)
        .shutdown_timeout(whole_seconds(settings.stop_deadline))
        .shutdown_signal(async move { shutdown.requested().await });
    let stopping = server.graceful_shutdown_signal();
    let shared = Arc::new(shared);
    let (keep_alive, head_timeout) = (settings.keep_alive, settings.header_read_timeout);
    // The closure runs once on each server thread.
    let server = server.listen("webhooks", listener, move || {
        shared.tick();
        let receiver = web::Data::new(shared.receiver());
        let app = actix_web::App::new().app_data(receiver).configure(routes);
        let stopping = stopping.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(keep_alive)
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(CLOSE_WAIT)
            .on_connect_ext(|stream: &ClientStream, extensions| {
                extensions.insert(stream.connection().clone());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let acceptor = acceptor.clone();
        fn_service(move |stream| acceptor.clone().accept(stream))
            .and_then(http.map_err(|_| NotServed))
    });
    Ok((address, server.map_err(failed)?.run()))
}

/// The server counts its deadline in whole seconds; a fraction is rounded up.
fn whole_seconds(deadline: Duration) -> u64 {
    deadline.as_secs() + u64::from(deadline.subsec_nanos() > 0)
}

impl Shared {
    /// The receiver of the calling server thread.
    fn receiver(&self) -> Receiver {
        Receiver {
            rules: self.rules.clone(),
            sink: DurableSink::new(self.stores.clone()),
            counters: self.counters.clone(),
            tracer: self.tracer.clone(),
        }
    }

    /// Shows on `/livez` that the calling server thread runs.
    fn tick(&self) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("server thread");
        let progress = self.liveness.watch(name, TICK_MAX);
        actix_web::rt::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                progress.touch();
            }
        });
    }
}
