//! A no-op and a verify-only server on the same actix version with the same settings as the ingress.
//!
//! Each is a process of its own: this binary, called with a hidden subcommand.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use clap::ValueEnum;
use futures_util::StreamExt;
use harkara_core::delivery::Delivery;
use harkara_core::endpoint::EndpointName;
use harkara_core::ids::EventId;
use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, verify};
use harkara_core::trace::TraceContext;
use harkara_load::PATH_DEFAULT;
use harkara_runtime::clock;
use harkara_settings::IngressSettings;

use crate::arguments::ReferenceServer;
use crate::bench::SECRET;
use crate::product::default_settings;
use crate::program::{self, Program, line_of};

/// Precedes the address in the output of a reference server.
const READY: &str = "ready ";

/// As many as the measured ingress has.
const THREADS: usize = 1;

/// The same as of the ingress.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Starts a reference server; returns it once it listens.
pub(crate) async fn start(kind: ReferenceServer) -> Result<(Program, SocketAddr)> {
    let value = kind.to_possible_value().context("no hidden kinds")?;
    let mut command = program::command(std::env::current_exe()?);
    command.args(["serve", value.get_name()]);
    let mut started = Program::start(value.get_name(), &mut command)?;
    let address = |line: &str| line.strip_prefix(READY)?.parse().ok();
    let address = started.wait_for(async |log| line_of(log, address)).await?;
    Ok((started, address))
}

/// Runs a reference server until it is stopped.
pub(crate) fn serve(kind: ReferenceServer) -> Result<ExitCode> {
    let settings = default_settings()?.ingress;
    let verifier = web::Data::new(Verifier {
        endpoint: EndpointName::default_name(),
        secrets: EndpointSecrets::new(&[Secret::new(SECRET)])?,
    });
    let routes = move |config: &mut web::ServiceConfig| match kind {
        ReferenceServer::Noop => {
            config.route(PATH_DEFAULT, web::post().to(read));
        }
        ReferenceServer::Verify => {
            config.app_data(verifier.clone());
            config.route(PATH_DEFAULT, web::post().to(read_and_verify));
        }
        ReferenceServer::Collector => {
            config.route("/v1/traces", web::post().to(take_telemetry));
            config.route("/v1/metrics", web::post().to(take_telemetry));
        }
    };
    actix_web::rt::System::new().block_on(run(&settings, routes))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(
    settings: &IngressSettings,
    routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> Result<()> {
    let server = HttpServer::new(move || App::new().configure(routes.clone()))
        .workers(THREADS)
        .max_connections(settings.connections_max.div_ceil(THREADS))
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.header_read_timeout)
        .client_disconnect_timeout(CLOSE_WAIT)
        .tcp_nodelay(true)
        .bind(("127.0.0.1", 0))?;
    let address = *server.addrs().first().context("one address was bound")?;
    let mut output = std::io::stdout();
    writeln!(output, "{READY}{address}")?;
    output.flush()?;
    server.run().await?;
    Ok(())
}

async fn read(_body: web::Bytes) -> HttpResponse {
    accepted()
}

/// An empty answer is complete in protobuf.
async fn take_telemetry(mut body: web::Payload) -> HttpResponse {
    while body.next().await.is_some_and(|chunk| chunk.is_ok()) {}
    HttpResponse::Ok()
        .content_type("application/x-protobuf")
        .finish()
}

struct Verifier {
    endpoint: EndpointName,
    secrets: EndpointSecrets,
}

async fn read_and_verify(
    request: HttpRequest,
    body: web::Bytes,
    verifier: web::Data<Verifier>,
) -> HttpResponse {
    let header = |name: &str| request.headers().get(name);
    let delivery = Delivery {
        endpoint: verifier.endpoint.clone(),
        event_id: header("x-razorpay-event-id")
            .and_then(|id| id.to_str().ok())
            .and_then(EventId::from_header),
        signature: header("x-razorpay-signature").map(HeaderValue::as_bytes),
        trace: TraceContext::default(),
        received_at: clock::now(),
        body,
    };
    match verify(delivery, &verifier.secrets) {
        Ok(_verified) => accepted(),
        Err(_) => HttpResponse::Unauthorized().finish(),
    }
}

fn accepted() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"status":"accepted"}"#)
}
