//! What the standard `OTEL_*` variables say.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::sampling::Sampling;

/// The port that is registered for OTLP over gRPC.
const GRPC_PORT: &str = ":4317";

/// Spans that may wait for the collector, where `OTEL_BSP_MAX_QUEUE_SIZE` says nothing (the standard's
/// default).
const QUEUE_SPANS: usize = 2048;

/// Most spans sent at once, where `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` says nothing (the standard's default).
const BATCH_SPANS: usize = 512;

/// How long spans may wait for others to be sent with, where `OTEL_BSP_SCHEDULE_DELAY` says nothing. The
/// standard's five seconds are long for somebody who waits for a trace.
const GATHER: Duration = Duration::from_secs(1);

/// How long the collector may take to answer, where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing (the
/// standard's default).
const ANSWER: Duration = Duration::from_secs(10);

/// Gives the value of an environment variable, `None` where it is not set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where spans go and which are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    pub(crate) timeout: Duration,
    /// PEM files: authorities to trust, and what to show of ourselves.
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// The service's name where the variables say one.
    pub(crate) names_service: bool,
    pub(crate) sampling: Sampling,
    pub(crate) queue_spans: NonZeroUsize,
    pub(crate) batch_spans: NonZeroUsize,
    pub(crate) gather: Duration,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// A variable that cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}; expected {expected}")]
pub struct InvalidVariable {
    name: String,
    value: String,
    expected: &'static str,
}

impl Environment {
    /// What the variables say; `None` where nothing is to be exported: no endpoint is named, or
    /// `OTEL_SDK_DISABLED` or `OTEL_TRACES_EXPORTER` say so.
    ///
    /// # Errors
    ///
    /// Where a variable has a value that means nothing here.
    pub fn read(variables: Variables<'_>) -> Result<Option<Self>, InvalidVariable> {
        let of = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
        let is_disabled =
            of("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || !exports_traces(&of)? {
            return Ok(None);
        }
        let Some((endpoint, is_whole)) = endpoint(&of) else {
            return Ok(None);
        };
        let protocol = protocol(&of, &endpoint)?;
        let endpoint = match protocol {
            Protocol::Http if !is_whole => format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            _ => endpoint,
        };
        let file = |name: &str| for_traces(&of, name).map(|(_, path)| PathBuf::from(path));
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
            timeout: match for_traces(&of, "TIMEOUT") {
                Some((name, value)) => milliseconds(name, value)?,
                None => ANSWER,
            },
            authorities: file("CERTIFICATE"),
            identity,
            names_service,
            sampling: sampling(&of)?,
            queue_spans: count(&of, "OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SPANS)?,
            batch_spans: count(&of, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_SPANS)?,
            gather: match of("OTEL_BSP_SCHEDULE_DELAY") {
                Some(value) => milliseconds("OTEL_BSP_SCHEDULE_DELAY".to_owned(), value)?,
                None => GATHER,
            },
        }))
    }
}

fn exports_traces(of: &dyn Fn(&str) -> Option<String>) -> Result<bool, InvalidVariable> {
    let name = "OTEL_TRACES_EXPORTER";
    match of(name).as_deref() {
        None | Some("otlp") => Ok(true),
        Some("none") => Ok(false),
        Some(other) => Err(invalid(name, other, "otlp or none")),
    }
}

/// The endpoint, and whether it is that of traces alone, which is taken as it stands.
fn endpoint(of: &dyn Fn(&str) -> Option<String>) -> Option<(String, bool)> {
    let whole = of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(|endpoint| (endpoint, true));
    whole.or_else(|| Some((of("OTEL_EXPORTER_OTLP_ENDPOINT")?, false)))
}

/// The standard's default is HTTP. Where nobody says otherwise the registered port of gRPC means gRPC: HTTP
/// would fail there for sure.
fn protocol(
    of: &dyn Fn(&str) -> Option<String>,
    endpoint: &str,
) -> Result<Protocol, InvalidVariable> {
    match for_traces(of, "PROTOCOL") {
        None if endpoint.trim_end_matches('/').ends_with(GRPC_PORT) => Ok(Protocol::Grpc),
        None => Ok(Protocol::Http),
        Some((name, value)) => match value.as_str() {
            "grpc" => Ok(Protocol::Grpc),
            "http/protobuf" => Ok(Protocol::Http),
            other => Err(invalid(&name, other, "grpc or http/protobuf")),
        },
    }
}

fn sampling(of: &dyn Fn(&str) -> Option<String>) -> Result<Sampling, InvalidVariable> {
    let ratio = || {
        let name = "OTEL_TRACES_SAMPLER_ARG";
        let Some(value) = of(name) else {
            return Ok(1.0);
        };
        let ratio = value.trim().parse::<f64>().ok();
        ratio
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .ok_or_else(|| invalid(name, &value, "a number from 0 to 1"))
    };
    let name = "OTEL_TRACES_SAMPLER";
    Ok(match of(name).as_deref() {
        None | Some("parentbased_always_on") => Sampling::by_parent(1.0),
        Some("parentbased_traceidratio") => Sampling::by_parent(ratio()?),
        Some("parentbased_always_off") => Sampling::by_parent(0.0),
        Some("always_on") => Sampling::of_all(1.0),
        Some("traceidratio") => Sampling::of_all(ratio()?),
        Some("always_off") => Sampling::of_all(0.0),
        Some(other) => {
            let expected = "always_on, always_off, traceidratio, or one of them after parentbased_";
            return Err(invalid(name, other, expected));
        }
    })
}

/// The variable of traces, else that of all signals; with its name.
fn for_traces(of: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<(String, String)> {
    ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"]
        .into_iter()
        .map(|prefix| format!("{prefix}{name}"))
        .find_map(|name| of(&name).map(|value| (name, value)))
}

fn milliseconds(name: String, value: String) -> Result<Duration, InvalidVariable> {
    match value.trim().parse() {
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        Err(_) => Err(InvalidVariable {
            name,
            value,
            expected: "a number of milliseconds",
        }),
    }
}

fn count(
    of: &dyn Fn(&str) -> Option<String>,
    name: &str,
    default: usize,
) -> Result<NonZeroUsize, InvalidVariable> {
    let value = of(name).unwrap_or_else(|| default.to_string());
    let count = value.trim().parse().ok();
    count.ok_or_else(|| invalid(name, &value, "a number from 1 on"))
}

fn invalid(name: &str, value: &str, expected: &'static str) -> InvalidVariable {
    InvalidVariable {
        name: name.to_owned(),
        value: value.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests;
