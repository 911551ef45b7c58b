//! The server of the public port and its threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{HttpServer, web};
use harkara_runtime::admin::Liveness;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::IngressSettings;
use harkara_telemetry::Tracer;

use crate::connections::Connections;
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
    connections: Connections,
    shutdown: Shutdown,
) -> Result<(SocketAddr, Server), StartError> {
    let address = settings.bind;
    let shared = Arc::new(shared);
    // The closure runs once on each server thread.
    let server = HttpServer::new(move || {
        shared.tick();
        let receiver = web::Data::new(shared.receiver());
        actix_web::App::new().app_data(receiver).configure(routes)
    })
    .on_connect(move |stream, extensions| connections.opened(stream, extensions))
    .workers(settings.threads)
    .max_connections(settings.connections_max.div_ceil(settings.threads))
    .keep_alive(settings.keep_alive)
    .client_request_timeout(settings.header_read_timeout)
    .client_disconnect_timeout(CLOSE_WAIT)
    .shutdown_timeout(whole_seconds(settings.stop_deadline))
    .shutdown_signal(async move { shutdown.requested().await })
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
