//! The admin port of a process: `/livez`, `/readyz`, `/metrics` and `/backlog`.

mod degraded;
mod exposition;
mod liveness;
mod probe;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use harkara_streams::backlog::Latest;
use harkara_telemetry::Metrics;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::shutdown::Shutdown;
use exposition::ExpositionFormat;

pub use degraded::Degraded;
pub use liveness::{Liveness, Progress};
pub use probe::Probe;

/// How long one dependency may take to answer a readiness probe before it counts as down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long requests in flight may delay the end of the admin server.
const STOP_WAIT_S: u64 = 1;

/// What the admin port reports about a process.
pub struct Admin {
    /// The dependencies of which enough must be up for the process to be ready.
    pub probes: Vec<Probe>,
    /// The loops that must move for the process to be alive.
    pub liveness: Liveness,
    /// The metrics.
    pub metrics: Metrics,
    /// The backlog.
    pub backlog: Latest,
    /// What does not work although the process is ready.
    pub degraded: Degraded,
    /// Once requested, the process is not ready.
    pub stop: Shutdown,
}

/// A running admin server. It outlives the request to stop, so that readiness can report it, and ends with
/// [`AdminServer::close`].
pub struct AdminServer {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

/// Why the admin port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the admin address {address} cannot be listened on; is another process using it?")]
pub struct AdminError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

impl Admin {
    /// Listens on `address` (port 0 takes a free one) and serves until closed. Must be called
    /// within a tokio runtime.
    pub fn serve(self, address: SocketAddr) -> Result<AdminServer, AdminError> {
        let shared = web::Data::from(Arc::new(self));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .route("/livez", web::get().to(live))
                .route("/readyz", web::get().to(ready))
                .route("/metrics", web::get().to(metrics))
                .route("/backlog", web::get().to(backlog))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(STOP_WAIT_S)
        .bind(address)
        .map_err(|source| AdminError { address, source })?;
        let bound = *server.addrs().first().expect("one address was bound");
        let server = server.run();
        Ok(AdminServer {
            address: bound,
            handle: server.handle(),
            task: tokio::spawn(server),
        })
    }
}

impl AdminServer {
    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving.
    pub async fn close(self) {
        self.handle.stop(true).await;
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "The admin server ended with an error."),
            Err(error) => tracing::warn!(%error, "The admin server panicked."),
        }
    }
}

async fn live(admin: web::Data<Admin>) -> HttpResponse {
    let stale = admin.liveness.stale();
    let (status, word) = if stale.is_empty() {
        (StatusCode::OK, "alive")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stuck")
    };
    HttpResponse::build(status).json(json!({ "status": word, "stuck": stale }))
}

async fn ready(admin: web::Data<Admin>) -> HttpResponse {
    let stopping = admin.stop.is_requested();
    let outcomes = probe::run_all(&admin.probes, PROBE_TIMEOUT).await;
    let ready = !stopping && probe::suffice(&admin.probes, &outcomes);
    let dependencies: Map<String, Value> = outcomes
        .into_iter()
        .map(|(name, outcome)| (name.to_owned(), outcome.to_json()))
        .collect();
    let degraded = admin.degraded.reasons();
    let (status, word) = match (ready, degraded.is_empty()) {
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    HttpResponse::build(status).json(json!({
        "status": word,
        "stopping": stopping,
        "degraded": degraded,
        "dependencies": dependencies,
    }))
}

async fn metrics(admin: web::Data<Admin>, request: HttpRequest) -> HttpResponse {
    let format = ExpositionFormat::accepted(&request);
    match format.write(admin.metrics.registry()) {
        Ok(text) => HttpResponse::Ok()
            .content_type(format.media_type())
            .body(text),
        Err(error) => {
            tracing::error!(%error, "Metrics could not be written.");
            HttpResponse::InternalServerError()
                .content_type(ContentType::plaintext())
                .finish()
        }
    }
}

/// Answers 200 with a complete report, 503 with an incomplete one. A scaler reads a 503 as no answer and leaves
/// the replicas as they are; a 0 would make it remove the last worker.
async fn backlog(admin: web::Data<Admin>) -> HttpResponse {
    let report = admin.backlog.report();
    if report.is_complete() {
        HttpResponse::Ok().json(report.json())
    } else {
        HttpResponse::ServiceUnavailable().json(report.json())
    }
}

#[cfg(test)]
mod tests;
