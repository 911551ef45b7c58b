//! A receiver of OTLP, made of the protocol's own generated server.

mod metrics;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsServiceServer;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::certificates::Certificate;
use crate::wait::wait_until;

pub use metrics::CollectedMetrics;

/// How long spans may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(20);

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct CollectedSpan {
    /// Its trace, in hex.
    pub trace_id: String,
    /// Its id, in hex.
    pub span_id: String,
    /// The span above, in hex; empty for the first of a trace.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// Internal 1, server 2, client 3, producer 4, consumer 5.
    pub kind: i32,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Trace and span of each link, in hex.
    pub links: Vec<(String, String)>,
    /// Whether its status is an error.
    pub failed: bool,
    /// The attributes of the process.
    pub resource: BTreeMap<String, String>,
}

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
    address: SocketAddr,
    scheme: &'static str,
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
    pub async fn grpc() -> Self {
        Self::serve_grpc(Server::builder(), "http").await
    }

    /// A collector that speaks gRPC over TLS. If `authorities` are given, clients need a certificate of theirs.
    pub async fn grpc_over_tls(certificate: &Certificate, authorities: Option<&str>) -> Self {
        let identity = Identity::from_pem(&certificate.pem, &certificate.key_pem);
        let tls = ServerTlsConfig::new().identity(identity);
        let tls = match authorities {
            Some(pem) => tls.client_ca_root(tonic::transport::Certificate::from_pem(pem)),
            None => tls,
        };
        let server = Server::builder()
            .tls_config(tls)
            .expect("the certificate is sound");
        Self::serve_grpc(server, "https").await
    }

    async fn serve_grpc(mut server: Server, scheme: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Shared::new();
        let router = server
            .add_service(TraceServiceServer::new(shared.clone()))
            .add_service(MetricsServiceServer::new(shared.clone()));
        let task = tokio::spawn(async move {
            let ended = router
                .serve_with_incoming(TcpIncoming::from(listener))
                .await;
            ended.expect("the collector serves");
        });
        Self {
            address,
            scheme,
            protocol: "grpc",
            shared,
            task,
        }
    }

    /// A collector that speaks HTTP with protobuf.
    #[must_use]
    pub fn http() -> Self {
        let shared = Shared::new();
        let data = web::Data::new(shared.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/v1/traces", web::post().to(export_over_http))
                .route("/v1/metrics", web::post().to(metrics::export_over_http))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .expect("a free port");
        let address = server.addrs()[0];
        let server = server.run();
        let task = tokio::spawn(async move { server.await.expect("the collector serves") });
        Self {
            address,
            scheme: "http",
            protocol: "http/protobuf",
            shared,
            task,
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let host = if self.scheme == "https" {
            "localhost"
        } else {
            "127.0.0.1"
        };
        format!("{}://{host}:{}", self.scheme, self.address.port())
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
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Kept {
            spans: Vec::new(),
            metrics: Vec::new(),
            headers: Vec::new(),
            reaction: Reaction::Take,
        })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reacts to a request. Returns whether it is accepted.
    async fn reacts(&self, headers: BTreeMap<String, String>) -> bool {
        let reaction = self.with(|kept| {
            kept.headers.push(headers);
            kept.reaction
        });
        match reaction {
            Reaction::Take | Reaction::RejectPart => true,
            Reaction::After(pause) => {
                tokio::time::sleep(pause).await;
                true
            }
            Reaction::Refuse => false,
        }
    }

    /// Returns whether the spans are accepted.
    async fn take(
        &self,
        request: ExportTraceServiceRequest,
        headers: BTreeMap<String, String>,
    ) -> bool {
        if !self.reacts(headers).await {
            return false;
        }
        let spans = request.resource_spans.into_iter().flat_map(|of_resource| {
            let resource = of_resource.resource.unwrap_or_default();
            let resource = texts(resource.attributes);
            let scopes = of_resource.scope_spans.into_iter();
            scopes
                .flat_map(|of_scope| of_scope.spans)
                .map(move |span| CollectedSpan {
                    trace_id: const_hex::encode(&span.trace_id),
                    span_id: const_hex::encode(&span.span_id),
                    parent_span_id: const_hex::encode(&span.parent_span_id),
                    name: span.name,
                    kind: span.kind,
                    times: (span.start_time_unix_nano, span.end_time_unix_nano),
                    attributes: texts(span.attributes),
                    links: span
                        .links
                        .iter()
                        .map(|link| {
                            (
                                const_hex::encode(&link.trace_id),
                                const_hex::encode(&link.span_id),
                            )
                        })
                        .collect(),
                    failed: span
                        .status
                        .is_some_and(|status| status.code() == SpanStatus::Error),
                    resource: resource.clone(),
                })
        });
        let spans: Vec<_> = spans.collect();
        self.with(|kept| kept.spans.extend(spans));
        true
    }
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = headers_of(request.metadata());
        if self.take(request.into_inner(), headers).await {
            Ok(Response::new(ExportTraceServiceResponse::default()))
        } else {
            Err(Status::invalid_argument("refused"))
        }
    }
}

async fn export_over_http(
    request: HttpRequest,
    body: web::Bytes,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let headers = texts_of(request.headers().iter().map(|(n, v)| (n, v.as_bytes())));
    let Ok(spans) = ExportTraceServiceRequest::decode(body) else {
        return HttpResponse::new(StatusCode::BAD_REQUEST);
    };
    if shared.take(spans, headers).await {
        HttpResponse::Ok()
            .content_type("application/x-protobuf")
            .body(ExportTraceServiceResponse::default().encode_to_vec())
    } else {
        HttpResponse::new(StatusCode::BAD_REQUEST)
    }
}

fn headers_of(metadata: &MetadataMap) -> BTreeMap<String, String> {
    let headers = metadata.clone().into_headers();
    texts_of(headers.iter().map(|(n, v)| (n, v.as_bytes())))
}

fn texts_of<'a, N: ToString>(
    headers: impl Iterator<Item = (N, &'a [u8])>,
) -> BTreeMap<String, String> {
    let text = |value| String::from_utf8_lossy(value).into_owned();
    headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|attribute| {
            let value = attribute.value.and_then(|value| value.value);
            let text = match value {
                Some(Value::StringValue(text)) => text,
                Some(Value::IntValue(number)) => number.to_string(),
                Some(Value::BoolValue(value)) => value.to_string(),
                other => format!("{other:?}"),
            };
            (attribute.key, text)
        })
        .collect()
}
