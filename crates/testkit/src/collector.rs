//! A receiver of OTLP, made of the protocol's own generated server.

mod exports;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::certificates::Certificate;
use crate::wait::wait_until;

use exports::Export;
pub use exports::{CollectedMetrics, CollectedSpan};

/// How long spans may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(20);

/// How a collector reacts to an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Accepts it.
    Take,
    /// Accepts it after a delay.
    After(Duration),
    /// Refuses it permanently.
    Refuse,
    /// Accepts it, and reports that it rejected one of the metrics' points.
    RejectPart,
}

/// A collector that keeps the exports it receives, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    protocol: &'static str,
    shared: Shared,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    spans: Vec<CollectedSpan>,
    metrics: Vec<CollectedMetrics>,
    headers: Vec<BTreeMap<String, String>>,
    reaction: Reaction,
}

impl Collector {
    /// A collector that speaks gRPC.
    #[must_use]
    pub fn grpc() -> Self {
        Self::serve(Server::builder(), "http://127.0.0.1", "grpc")
    }

    /// A collector that speaks gRPC over TLS. If `authorities` are given, clients need a certificate of theirs.
    #[must_use]
    pub fn grpc_over_tls(certificate: &Certificate, authorities: Option<&str>) -> Self {
        let identity = Identity::from_pem(&certificate.pem, &certificate.key_pem);
        let tls = ServerTlsConfig::new().identity(identity);
        let tls = match authorities {
            Some(pem) => tls.client_ca_root(tonic::transport::Certificate::from_pem(pem)),
            None => tls,
        };
        let server = Server::builder().tls_config(tls);
        let server = server.expect("the certificate is sound");
        Self::serve(server, "https://localhost", "grpc")
    }

    /// A collector that speaks HTTP with protobuf.
    #[must_use]
    pub fn http() -> Self {
        let server = Server::builder().accept_http1(true);
        Self::serve(server, "http://127.0.0.1", "http/protobuf")
    }

    fn serve(mut server: Server, host: &str, protocol: &'static str) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let incoming = TcpIncoming::bind(any_port).expect("a free port");
        let port = incoming.local_addr().expect("it is bound").port();
        let shared = Shared(Arc::new(Mutex::new(Kept {
            spans: Vec::new(),
            metrics: Vec::new(),
            headers: Vec::new(),
            reaction: Reaction::Take,
        })));
        let http = Router::new()
            .route("/v1/traces", post(over_http::<ExportTraceServiceRequest>))
            .route(
                "/v1/metrics",
                post(over_http::<ExportMetricsServiceRequest>),
            )
            .with_state(shared.clone());
        let routes = Routes::from(http)
            .add_service(TraceServiceServer::new(shared.clone()))
            .add_service(MetricsServiceServer::new(shared.clone()));
        let task = tokio::spawn(async move {
            let ended = server.add_routes(routes).serve_with_incoming(incoming);
            ended.await.expect("the collector serves");
        });
        Self {
            endpoint: format!("{host}:{port}"),
            protocol,
            shared,
            task,
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// For `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// Sets the reaction to later exports.
    pub fn set(&self, reaction: Reaction) {
        self.shared.with(|kept| kept.reaction = reaction);
    }

    /// Every span so far.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.shared.with(|kept| kept.spans.clone())
    }

    /// Every export of metrics so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<CollectedMetrics> {
        self.shared.with(|kept| kept.metrics.clone())
    }

    /// The headers of each request so far.
    #[must_use]
    pub fn headers(&self) -> Vec<BTreeMap<String, String>> {
        self.shared.with(|kept| kept.headers.clone())
    }

    /// Waits until the received spans are `enough`, and returns them.
    pub async fn wait(
        &self,
        what: &str,
        enough: impl Fn(&[CollectedSpan]) -> bool,
    ) -> Vec<CollectedSpan> {
        wait_until(what, ARRIVAL_MAX, async || enough(&self.spans())).await;
        self.spans()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reacts to an export; `None` if it is refused.
    async fn receive<E: Export>(&self, export: E, headers: &HeaderMap) -> Option<E::Answer> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let headers = headers.collect();
        let reaction = self.with(|kept| {
            kept.headers.push(headers);
            kept.reaction
        });
        if let Reaction::After(pause) = reaction {
            tokio::time::sleep(pause).await;
        }
        (reaction != Reaction::Refuse).then(|| self.with(|kept| export.keep(kept)))
    }

    async fn over_grpc<E: Export>(
        &self,
        request: Request<E>,
    ) -> Result<Response<E::Answer>, Status> {
        let headers = request.metadata().clone().into_headers();
        let answer = self.receive(request.into_inner(), &headers).await;
        let answer = answer.ok_or_else(|| Status::invalid_argument("refused"))?;
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.over_grpc(request).await
    }
}

#[tonic::async_trait]
impl MetricsService for Shared {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.over_grpc(request).await
    }
}

async fn over_http<E: Export>(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<impl IntoResponse, StatusCode> {
    let export = E::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = shared.receive(export, &headers).await;
    let answer = answer.ok_or(StatusCode::BAD_REQUEST)?.encode_to_vec();
    Ok(([(CONTENT_TYPE, "application/x-protobuf")], answer))
}
