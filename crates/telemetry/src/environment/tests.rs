use std::time::Duration;

use super::{InvalidVariable, MetricsEnvironment, Protocol, TraceEnvironment};
use crate::sampling::Sampling;

type Pairs<'a> = &'a [(&'a str, &'a str)];

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

fn lookup(variables: Pairs<'_>) -> impl Fn(&str) -> Option<String> {
    |name| {
        let found = variables.iter().find(|(set, _)| *set == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

fn read(variables: Pairs<'_>) -> Result<Option<TraceEnvironment>, InvalidVariable> {
    TraceEnvironment::read(&lookup(variables))
}

fn metrics(variables: Pairs<'_>) -> Result<Option<MetricsEnvironment>, InvalidVariable> {
    MetricsEnvironment::read(&lookup(variables))
}

/// The environment of traces with these variables, and an endpoint unless they name it.
fn with(variables: Pairs<'_>) -> TraceEnvironment {
    read(&[variables, &[ENDPOINT]].concat()).unwrap().unwrap()
}

#[test]
fn nothing_is_exported_without_an_endpoint() {
    for variables in [
        &[][..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[ENDPOINT, ("OTEL_SDK_DISABLED", "True")],
        &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        assert_eq!(read(variables), Ok(None), "{variables:?}");
    }
}

#[test]
fn a_password_in_the_endpoint_is_not_logged() {
    for (endpoint, redacted) in [
        ("https://me:pa@ss@otel:4318/v1/a", "https://otel:4318/v1/a"),
        ("https://me:p@a/ss#w?d@otel:4318/v1", "https://otel:4318/v1"),
        ("http://me:pass@otel", "http://otel"),
        ("http://otel:4318/v1/traces", "http://otel:4318/v1/traces"),
    ] {
        let read = with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)]);
        assert_eq!(read.target.redacted_endpoint(), redacted);
    }
}

#[test]
fn defaults_are_those_of_the_standard_except_the_delay() {
    let read = with(&[]);
    assert_eq!(read.target.endpoint, "http://collector:4318/v1/traces");
    assert_eq!(read.target.protocol, Protocol::Http);
    assert_eq!(read.target.timeout, Duration::from_secs(10));
    assert_eq!(
        (read.queue_spans.get(), read.batch_spans.get()),
        (2048, 512)
    );
    assert_eq!(read.gather, Duration::from_secs(1));
    assert_eq!(read.sampling, Sampling::by_parent(1.0));
    assert!(!read.target.names_service);
}

#[test]
fn variables_of_a_signal_take_precedence_over_those_of_all() {
    let read = with(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:9/in"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "70"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "50"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
    ]);
    assert_eq!(read.target.endpoint, "http://traces:9/in");
    assert_eq!(read.target.protocol, Protocol::Http);
    assert_eq!(read.target.timeout, Duration::from_millis(50));
}

#[test]
fn the_port_of_grpc_means_grpc_unless_the_protocol_is_set() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let by_port = with(&[endpoint]);
    assert_eq!(by_port.target.protocol, Protocol::Grpc);
    assert_eq!(by_port.target.endpoint, "http://collector:4317");
    let by_variable = with(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
    assert_eq!(by_variable.target.protocol, Protocol::Http);
}

#[test]
fn samplers_are_those_of_the_standard() {
    for (sampler, argument, expected) in [
        ("always_on", "0.5", Sampling::of_all(1.0)),
        ("traceidratio", "0.5", Sampling::of_all(0.5)),
        (
            "parentbased_traceidratio",
            "0.25",
            Sampling::by_parent(0.25),
        ),
        ("parentbased_always_off", "", Sampling::by_parent(0.0)),
    ] {
        let read = with(&[
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ]);
        assert_eq!(read.sampling, expected, "{sampler}");
    }
}

#[test]
fn an_invalid_variable_is_reported_with_what_was_expected() {
    let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
    ] {
        let error = read(&[ENDPOINT, (name, value), ratio]).unwrap_err();
        let error = error.to_string();
        let expected = format!("{name} is {value:?}; expected ");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn metrics_have_their_own_endpoint_and_switch() {
    let common = metrics(&[ENDPOINT]).unwrap().unwrap();
    assert_eq!(common.target.endpoint, "http://collector:4318/v1/metrics");
    assert_eq!(common.every, Duration::from_mins(1));
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9/in");
    let separate = metrics(&[ENDPOINT, own, ("OTEL_METRIC_EXPORT_INTERVAL", "250")]);
    let separate = separate.unwrap().unwrap();
    assert_eq!(separate.target.endpoint, "http://metrics:9/in");
    assert_eq!(separate.every, Duration::from_millis(250));
    // Each signal is exported without the other.
    let off = ("OTEL_METRICS_EXPORTER", "none");
    assert_eq!(metrics(&[ENDPOINT, off]), Ok(None));
    let without_traces = metrics(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]);
    assert!(without_traces.unwrap().is_some());
    assert_eq!(read(&[own]), Ok(None));
    assert_eq!(metrics(&[]), Ok(None));
    for invalid in [
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
    ] {
        assert!(metrics(&[ENDPOINT, invalid]).is_err());
    }
}

#[test]
fn headers_are_pairs_with_encoded_values() {
    let encoded = "Authorization=Basic%20cGF5bWVudHM%3D, x-team = payments,nothing";
    let headers = with(&[("OTEL_EXPORTER_OTLP_HEADERS", encoded)])
        .target
        .headers;
    let headers = headers.iter().map(|(n, v)| (n.as_str(), v.expose()));
    let decoded = [
        ("authorization", "Basic cGF5bWVudHM="),
        ("x-team", "payments"),
    ];
    assert!(headers.eq(decoded));
}
