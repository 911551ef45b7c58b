//! A client of the collector's metrics service.

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use crate::connect::{ConnectError, Files};
use crate::environment::{Protocol, Target};

/// Maximum bytes read of an answer over HTTP.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

pub(super) enum Client {
    Grpc {
        client: MetricsServiceClient<Channel>,
        metadata: MetadataMap,
    },
    Http {
        client: reqwest::Client,
        endpoint: String,
        headers: HeaderMap,
    },
}

/// Why the collector did not take the metrics.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the collector refused them")]
    Grpc(#[from] Box<tonic::Status>),
    #[error("the collector did not answer")]
    Http(#[from] reqwest::Error),
    #[error("the collector answered {0}")]
    Answer(reqwest::StatusCode),
    #[error("the collector rejected {points} points: {message}")]
    Rejected { points: i64, message: String },
}

impl Client {
    /// Connects with the first export. Must be called within the runtime of the exports.
    pub(super) fn connect(target: &Target) -> Result<Self, ConnectError> {
        let files = Files::read(target)?;
        let headers = headers(target)?;
        match target.protocol {
            Protocol::Grpc => {
                let of = |source| ConnectError::unusable(target, source);
                let endpoint = Endpoint::from_shared(target.endpoint.clone())
                    .map_err(of)?
                    .connect_timeout(target.timeout)
                    .timeout(target.timeout);
                let endpoint = if target.endpoint.starts_with("https:") {
                    endpoint.tls_config(files.for_grpc()).map_err(of)?
                } else {
                    endpoint
                };
                Ok(Self::Grpc {
                    client: MetricsServiceClient::new(endpoint.connect_lazy()),
                    metadata: MetadataMap::from_headers(headers),
                })
            }
            Protocol::Http => Ok(Self::Http {
                client: files.for_http()?,
                endpoint: target.endpoint.clone(),
                headers,
            }),
        }
    }

    pub(super) async fn send(
        &mut self,
        metrics: ExportMetricsServiceRequest,
    ) -> Result<(), SendError> {
        match self {
            Self::Grpc { client, metadata } => {
                let mut request = tonic::Request::new(metrics);
                *request.metadata_mut() = metadata.clone();
                let answer = client.export(request).await.map_err(Box::new)?;
                check_rejections(answer.into_inner())
            }
            Self::Http {
                client,
                endpoint,
                headers,
            } => {
                let answer = client
                    .post(endpoint.as_str())
                    .headers(headers.clone())
                    .header(CONTENT_TYPE, "application/x-protobuf")
                    .body(metrics.encode_to_vec())
                    .send()
                    .await?;
                if !answer.status().is_success() {
                    return Err(SendError::Answer(answer.status()));
                }
                check_rejections(read(answer).await?)
            }
        }
    }
}

/// Reads an answer. One that is too long or malformed counts as one without rejections.
async fn read(mut answer: reqwest::Response) -> Result<ExportMetricsServiceResponse, SendError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Ok(ExportMetricsServiceResponse::default());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(ExportMetricsServiceResponse::decode(body.as_slice()).unwrap_or_default())
}

/// A successful answer may still report rejected points.
fn check_rejections(answer: ExportMetricsServiceResponse) -> Result<(), SendError> {
    match answer.partial_success {
        Some(partial) if partial.rejected_data_points > 0 => Err(SendError::Rejected {
            points: partial.rejected_data_points,
            message: partial.error_message,
        }),
        _ => Ok(()),
    }
}

fn headers(target: &Target) -> Result<HeaderMap, ConnectError> {
    let headers = target.headers.iter();
    headers
        .map(|(name, value)| {
            let name = HeaderName::try_from(name)
                .map_err(|source| ConnectError::unusable(target, source))?;
            let mut value = HeaderValue::try_from(value.expose())
                .map_err(|source| ConnectError::unusable(target, source))?;
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}
