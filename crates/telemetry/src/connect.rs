//! Connections to the collector.

use std::collections::HashMap;
use std::error::Error;

use harkara_tls::{Certificates, ClientTls, PemError, PrivateKey};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    Protocol as OtlpProtocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{
    EnvResourceDetector, SdkProvidedResourceDetector, TelemetryResourceDetector,
};
use opentelemetry_sdk::trace::SpanExporter as _;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::environment::{Protocol, Target};

/// Why a connection to the collector cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A variable names a PEM file that cannot be used.
    #[error("{variable} names a file that cannot be used")]
    File {
        /// The variable's name.
        variable: &'static str,
        /// What is wrong with the file.
        #[source]
        source: PemError,
    },
    /// Our certificate and key do not belong together, or an authority cannot be read.
    #[error("the certificates for the collector cannot be used")]
    Certificates(#[source] Box<dyn Error + Send + Sync>),
    /// The endpoint or a header cannot be used.
    #[error("cannot send telemetry to {endpoint}")]
    Exporter {
        /// The endpoint without user and password.
        endpoint: String,
        /// What is wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ConnectError {
    pub(crate) fn unusable(
        target: &Target,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Exporter {
            endpoint: target.redacted_endpoint(),
            source: source.into(),
        }
    }
}

/// A span exporter, which connects with the first export. Must be called within the runtime of the exports.
pub(crate) fn connect(
    target: &Target,
    service: &'static str,
    instance: &str,
) -> Result<SpanExporter, ConnectError> {
    let files = Files::read(target)?;
    let built = match target.protocol {
        Protocol::Grpc => SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&target.endpoint)
            .with_timeout(target.timeout)
            .with_tls_config(files.for_grpc())
            .build(),
        Protocol::Http => SpanExporter::builder()
            .with_http()
            .with_protocol(OtlpProtocol::HttpBinary)
            .with_endpoint(&target.endpoint)
            .with_timeout(target.timeout)
            .with_headers(HashMap::new())
            .with_http_client(files.for_http()?)
            .build(),
    };
    let mut exporter = built.map_err(|source| ConnectError::unusable(target, source))?;
    exporter.set_resource(&resource(target, service, instance));
    Ok(exporter)
}

/// The attributes of this process; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence.
pub(crate) fn resource(target: &Target, service: &'static str, instance: &str) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.namespace", "harkara"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ])
        // Later ones take precedence.
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    if target.names_service {
        resource
            .with_detector(Box::new(SdkProvidedResourceDetector))
            .build()
    } else {
        resource.build()
    }
}

/// The PEM files named by the variables.
pub(crate) struct Files {
    authorities: Option<Certificates>,
    identity: Option<(Certificates, PrivateKey)>,
}

impl Files {
    pub(crate) fn read(target: &Target) -> Result<Self, ConnectError> {
        let file = |variable| move |source| ConnectError::File { variable, source };
        let authorities = target.authorities.as_deref().map(Certificates::read);
        let identity = match &target.identity {
            Some((certificate, key)) => Some((
                Certificates::read(certificate)
                    .map_err(file("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"))?,
                PrivateKey::read(key).map_err(file("OTEL_EXPORTER_OTLP_CLIENT_KEY"))?,
            )),
            None => None,
        };
        Ok(Self {
            authorities: authorities
                .transpose()
                .map_err(file("OTEL_EXPORTER_OTLP_CERTIFICATE"))?,
            identity,
        })
    }

    pub(crate) fn for_grpc(&self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new();
        let config = match &self.authorities {
            Some(authorities) => config.ca_certificate(Certificate::from_pem(authorities.pem())),
            None => config.with_webpki_roots(),
        };
        match &self.identity {
            Some((own, key)) => config.identity(Identity::from_pem(own.pem(), key.pem())),
            None => config,
        }
    }

    pub(crate) fn for_http(self) -> Result<reqwest::Client, ConnectError> {
        let tls = ClientTls::new(self.authorities, self.identity)
            .map_err(|error| ConnectError::Certificates(error.into()))?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.config().clone())
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ConnectError::Certificates(error.into()))
    }
}
