//! Where a signal goes, and how it gets there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use harkara_core::secret::Secret;
use percent_encoding::percent_decode_str;

use super::{InvalidVariable, Of, invalid, milliseconds};

/// The port that is registered for OTLP over gRPC.
const GRPC_PORT: &str = ":4317";

/// How long the collector may take to answer, where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing (the
/// standard's default).
const ANSWER: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

/// How it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// Where a signal goes, and how it gets there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    pub(crate) timeout: Duration,
    pub(crate) headers: BTreeMap<String, Secret>,
    /// PEM files: authorities to trust, and what to show of ourselves.
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Whether the variables name the service.
    pub(crate) names_service: bool,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// What the standard appends to the endpoint of all signals over HTTP.
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    fn is_exported(self, of: Of<'_>) -> Result<bool, InvalidVariable> {
        let name = format!("OTEL_{}_EXPORTER", self.name());
        match of(&name).as_deref() {
            None | Some("otlp") => Ok(true),
            Some("none") => Ok(false),
            Some(other) => Err(invalid(&name, other, "otlp or none")),
        }
    }

    /// The variable of this signal, else that of all signals; with its name.
    fn variable(self, of: Of<'_>, name: &str) -> Option<(String, String)> {
        [
            format!("OTEL_EXPORTER_OTLP_{}_{name}", self.name()),
            format!("OTEL_EXPORTER_OTLP_{name}"),
        ]
        .into_iter()
        .find_map(|name| of(&name).map(|value| (name, value)))
    }
}

impl Target {
    /// The endpoint as logs may tell it: without the name and password that it may hold.
    pub(crate) fn told(&self) -> String {
        let Some((scheme, rest)) = self.endpoint.split_once("://") else {
            return self.endpoint.clone();
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority.rsplit('@').next().unwrap_or(authority);
        format!("{scheme}://{host}{path}")
    }

    /// What the variables say; `None` where the signal is not to be exported: no endpoint is named, or
    /// `OTEL_SDK_DISABLED` or the variable of its exporter say so.
    pub(super) fn read(of: Of<'_>, signal: Signal) -> Result<Option<Self>, InvalidVariable> {
        let is_disabled =
            of("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || !signal.is_exported(of)? {
            return Ok(None);
        }
        let Some((name, endpoint)) = signal.variable(of, "ENDPOINT") else {
            return Ok(None);
        };
        // The endpoint of one signal is taken as it stands.
        let is_whole = name != "OTEL_EXPORTER_OTLP_ENDPOINT";
        let protocol = protocol(of, signal, &endpoint)?;
        let endpoint = match protocol {
            Protocol::Http if !is_whole => {
                format!("{}{}", endpoint.trim_end_matches('/'), signal.path())
            }
            Protocol::Http => endpoint,
            Protocol::Grpc => with_scheme(of, signal, endpoint),
        };
        let file = |name| {
            signal
                .variable(of, name)
                .map(|(_, path)| PathBuf::from(path))
        };
        let identity = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => None,
        };
        let names_service = of("OTEL_SERVICE_NAME").is_some()
            || of("OTEL_RESOURCE_ATTRIBUTES")
                .is_some_and(|attributes| attributes.contains("service.name="));
        Ok(Some(Self {
            endpoint,
            protocol,
            timeout: match signal.variable(of, "TIMEOUT") {
                Some((name, value)) => milliseconds(name, value)?,
                None => ANSWER,
            },
            headers: match signal.variable(of, "HEADERS") {
                Some((_, value)) => headers(&value),
                None => BTreeMap::new(),
            },
            authorities: file("CERTIFICATE"),
            identity,
            names_service,
        }))
    }
}

/// The standard's default is HTTP. Where nobody says otherwise the registered port of gRPC means gRPC: HTTP
/// would fail there for sure.
fn protocol(of: Of<'_>, signal: Signal, endpoint: &str) -> Result<Protocol, InvalidVariable> {
    match signal.variable(of, "PROTOCOL") {
        None if endpoint.trim_end_matches('/').ends_with(GRPC_PORT) => Ok(Protocol::Grpc),
        None => Ok(Protocol::Http),
        Some((name, value)) => match value.as_str() {
            "grpc" => Ok(Protocol::Grpc),
            "http/protobuf" => Ok(Protocol::Http),
            other => Err(invalid(&name, other, "grpc or http/protobuf")),
        },
    }
}

/// Over gRPC an endpoint may be host and port alone; TLS is spoken then, unless a variable says otherwise.
fn with_scheme(of: Of<'_>, signal: Signal, endpoint: String) -> String {
    if endpoint.contains("://") {
        return endpoint;
    }
    let insecure = signal.variable(of, "INSECURE");
    let is_insecure = insecure.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let scheme = if is_insecure { "http" } else { "https" };
    format!("{scheme}://{endpoint}")
}

/// `name=value,…`, the values percent-encoded. What has no `=` is passed over, as the standard's own
/// implementations do; a value is a secret, so that none is told in an error.
fn headers(value: &str) -> BTreeMap<String, Secret> {
    let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8_lossy();
            (name.trim().to_ascii_lowercase(), Secret::new(value))
        })
        .collect()
}
