//! Who brings metrics to the collector.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use crate::connect::{ConnectError, Files};
use crate::environment::{Protocol, Target};

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

/// Why metrics were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the collector refuses them: {0}")]
    Grpc(#[from] Box<tonic::Status>),
    #[error("the collector does not answer")]
    Http(#[from] reqwest::Error),
    #[error("the collector answers {0}")]
    Answer(reqwest::StatusCode),
}

impl Client {
    /// Must be called within the runtime that it is used on. Connects with the first metrics.
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
                client.export(request).await.map_err(Box::new)?;
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
            }
        }
        Ok(())
    }
}

fn headers(target: &Target) -> Result<HeaderMap, ConnectError> {
    let headers = target.headers.iter();
    headers
        .map(|(name, value)| {
            let name = HeaderName::try_from(name)
                .map_err(|source| ConnectError::unusable(target, source))?;
            let mut value = HeaderValue::try_from(value)
                .map_err(|source| ConnectError::unusable(target, source))?;
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}
