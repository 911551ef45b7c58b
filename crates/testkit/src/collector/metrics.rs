//! Metrics that a collector receives.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsService;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use prost::Message;
use tonic::{Request, Response, Status};

use super::{Reaction, Shared, headers_of, texts, texts_of};

/// The metrics of one export.
#[derive(Clone, Debug)]
pub struct CollectedMetrics {
    /// The attributes of the process.
    pub resource: BTreeMap<String, String>,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

impl Shared {
    /// Returns whether the metrics are accepted.
    async fn take_metrics(
        &self,
        request: ExportMetricsServiceRequest,
        headers: BTreeMap<String, String>,
    ) -> bool {
        if !self.reacts(headers).await {
            return false;
        }
        let received = request.resource_metrics.into_iter().map(|of_resource| {
            let scopes = of_resource.scope_metrics.into_iter();
            CollectedMetrics {
                resource: texts(of_resource.resource.unwrap_or_default().attributes),
                metrics: scopes.flat_map(|of_scope| of_scope.metrics).collect(),
            }
        });
        let received: Vec<_> = received.collect();
        self.with(|kept| kept.metrics.extend(received));
        true
    }

    fn answer(&self) -> ExportMetricsServiceResponse {
        let rejects = self.with(|kept| kept.reaction == Reaction::RejectPart);
        let partial_success = rejects.then(|| ExportMetricsPartialSuccess {
            rejected_data_points: 1,
            error_message: "too old".to_owned(),
        });
        ExportMetricsServiceResponse { partial_success }
    }
}

#[tonic::async_trait]
impl MetricsService for Shared {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let headers = headers_of(request.metadata());
        if self.take_metrics(request.into_inner(), headers).await {
            Ok(Response::new(self.answer()))
        } else {
            Err(Status::invalid_argument("refused"))
        }
    }
}

pub(super) async fn export_over_http(
    request: HttpRequest,
    body: web::Bytes,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let headers = texts_of(request.headers().iter().map(|(n, v)| (n, v.as_bytes())));
    let Ok(metrics) = ExportMetricsServiceRequest::decode(body) else {
        return HttpResponse::new(StatusCode::BAD_REQUEST);
    };
    if shared.take_metrics(metrics, headers).await {
        HttpResponse::Ok()
            .content_type("application/x-protobuf")
            .body(shared.answer().encode_to_vec())
    } else {
        HttpResponse::new(StatusCode::BAD_REQUEST)
    }
}
