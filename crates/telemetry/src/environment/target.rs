//! Where a signal goes, and over which protocol.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use harkara_core::secret::Secret;
use percent_encoding::percent_decode_str;

use super::{InvalidVariable, Variables, invalid, milliseconds};

/// The registered port of OTLP over gRPC.
const GRPC_PORT: &str = ":4317";

/// How long the collector may take to answer, unless `OTEL_EXPORTER_OTLP_TIMEOUT` is set (the standard's
/// default).
const ANSWER: Duration = Duration::from_secs(10);

/// What is exported, as variables name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "UPPERCASE")]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

/// How it is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// Where a signal goes, and over which protocol.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    pub(crate) timeout: Duration,
    pub(crate) headers: BTreeMap<String, Secret>,
    /// A PEM file of the authorities to trust.
    pub(crate) authorities: Option<PathBuf>,
    /// PEM files of our client certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Whether the variables name the service.
    pub(crate) names_service: bool,
}

impl Signal {
    /// The path that the standard appends to the common endpoint over HTTP.
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    fn is_exported(self, set: Variables<'_>) -> Result<bool, InvalidVariable> {
        let name = format!("OTEL_{self}_EXPORTER");
        match set(&name).as_deref() {
            None | Some("otlp") => Ok(true),
            Some("none") => Ok(false),
            Some(other) => Err(invalid(&name, other, "otlp or none")),
        }
    }

    /// The name of this signal's variable if that is set, else of the variable for all signals.
    fn variable(self, set: Variables<'_>, name: &str) -> String {
        let own = format!("OTEL_EXPORTER_OTLP_{self}_{name}");
        if set(&own).is_some() {
            own
        } else {
            format!("OTEL_EXPORTER_OTLP_{name}")
        }
    }
}

impl Target {
    /// The endpoint without user and password, for logs.
    pub(crate) fn redacted_endpoint(&self) -> String {
        let (scheme, rest) = match self.endpoint.find("://") {
            Some(end) => self.endpoint.split_at(end + "://".len()),
            None => ("", self.endpoint.as_str()),
        };
        // A password may hold any character, so everything before the last `@` is left out.
        let host_and_path = rest.rsplit('@').next().unwrap_or(rest);
        format!("{scheme}{host_and_path}")
    }

    /// `None` if the signal is not exported: no endpoint is set, or `OTEL_SDK_DISABLED` or the variable of
    /// its exporter turns the export off.
    pub(super) fn read(
        set: Variables<'_>,
        signal: Signal,
    ) -> Result<Option<Self>, InvalidVariable> {
        let is_disabled =
            set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || !signal.is_exported(set)? {
            return Ok(None);
        }
        let of_signal = |name| set(&signal.variable(set, name));
        let Some(endpoint) = of_signal("ENDPOINT") else {
            return Ok(None);
        };
        let protocol = protocol(set, signal, &endpoint)?;
        let is_common = signal.variable(set, "ENDPOINT") == "OTEL_EXPORTER_OTLP_ENDPOINT";
        let endpoint = match protocol {
            Protocol::Http if is_common => {
                format!("{}{}", endpoint.trim_end_matches('/'), signal.path())
            }
            Protocol::Http => endpoint,
            Protocol::Grpc => with_scheme(endpoint, of_signal("INSECURE")),
        };
        let file = |name| of_signal(name).map(PathBuf::from);
        let names_service = set("OTEL_SERVICE_NAME").is_some()
            || set("OTEL_RESOURCE_ATTRIBUTES")
                .is_some_and(|attributes| attributes.contains("service.name="));
        Ok(Some(Self {
            endpoint,
            protocol,
            timeout: milliseconds(set, &signal.variable(set, "TIMEOUT"))?.unwrap_or(ANSWER),
            headers: headers(&of_signal("HEADERS").unwrap_or_default()),
            authorities: file("CERTIFICATE"),
            identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
            names_service,
        }))
    }
}

/// The standard's default is HTTP. Without a variable the registered port of gRPC means gRPC, since HTTP would
/// certainly fail there.
fn protocol(
    set: Variables<'_>,
    signal: Signal,
    endpoint: &str,
) -> Result<Protocol, InvalidVariable> {
    let name = signal.variable(set, "PROTOCOL");
    match set(&name).as_deref() {
        None if endpoint.trim_end_matches('/').ends_with(GRPC_PORT) => Ok(Protocol::Grpc),
        None | Some("http/protobuf") => Ok(Protocol::Http),
        Some("grpc") => Ok(Protocol::Grpc),
        Some(other) => Err(invalid(&name, other, "grpc or http/protobuf")),
    }
}

/// Over gRPC an endpoint may be just host and port; it means TLS then, unless a variable says otherwise.
fn with_scheme(endpoint: String, insecure: Option<String>) -> String {
    if endpoint.contains("://") {
        return endpoint;
    }
    let is_insecure = insecure.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let scheme = if is_insecure { "http" } else { "https" };
    format!("{scheme}://{endpoint}")
}

/// `name=value,…`, with percent-encoded values. Pairs without `=` are ignored, as the standard's own
/// implementations do. Values are secrets and never part of an error.
fn headers(value: &str) -> BTreeMap<String, Secret> {
    let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8_lossy();
            (name.trim().to_ascii_lowercase(), Secret::new(value))
        })
        .collect()
}
