use std::time::Duration;

use super::{InvalidVariable, MetricsEnvironment, Protocol, TraceEnvironment};
use crate::sampling::Sampling;

type Pairs<'a> = &'a [(&'a str, &'a str)];

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

fn with(variables: Pairs<'_>) -> TraceEnvironment {
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")];
    read(&[&endpoint, variables].concat()).unwrap().unwrap()
}

#[test]
fn nothing_is_exported_without_an_endpoint() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
    assert_eq!(read(&[endpoint, ("OTEL_SDK_DISABLED", "True")]), Ok(None));
    assert_eq!(
        read(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]),
        Ok(None)
    );
}

#[test]
fn a_password_in_the_endpoint_is_not_logged() {
    for (endpoint, redacted) in [
        (
            "https://me:pa@ss@otel:4318/v1/a@b",
            "https://otel:4318/v1/a@b",
        ),
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
    let by_port = read(&[endpoint]).unwrap().unwrap();
    assert_eq!(by_port.target.protocol, Protocol::Grpc);
    assert_eq!(by_port.target.endpoint, "http://collector:4317");
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let by_variable = read(&[endpoint, http]).unwrap().unwrap();
    assert_eq!(by_variable.target.protocol, Protocol::Http);
}

#[test]
fn samplers_are_those_of_the_standard() {
    let of = |sampler, argument| {
        with(&[
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ])
        .sampling
    };
    assert_eq!(of("always_on", "0.5"), Sampling::of_all(1.0));
    assert_eq!(of("traceidratio", "0.5"), Sampling::of_all(0.5));
    assert_eq!(
        of("parentbased_traceidratio", "0.25"),
        Sampling::by_parent(0.25)
    );
    assert_eq!(of("parentbased_always_off", ""), Sampling::by_parent(0.0));
}

#[test]
fn an_invalid_variable_is_reported_with_what_was_expected() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
    ] {
        let error = read(&[endpoint, (name, value)]).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{name} is {value:?}; expected ")),
            "{error}"
        );
    }
    let ratio = [
        endpoint,
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    let error = read(&ratio).unwrap_err().to_string();
    assert!(error.contains("from 0 to 1"), "{error}");
}

#[test]
fn metrics_have_their_own_endpoint_and_switch() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let common = metrics(&[all]).unwrap().unwrap();
    assert_eq!(common.target.endpoint, "http://collector:4318/v1/metrics");
    assert_eq!(common.every, Duration::from_mins(1));
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9/in");
    let separate = metrics(&[all, own, ("OTEL_METRIC_EXPORT_INTERVAL", "250")]);
    let separate = separate.unwrap().unwrap();
    assert_eq!(separate.target.endpoint, "http://metrics:9/in");
    assert_eq!(separate.every, Duration::from_millis(250));
    // Each signal is exported without the other.
    assert_eq!(metrics(&[all, ("OTEL_METRICS_EXPORTER", "none")]), Ok(None));
    let without_traces = metrics(&[all, ("OTEL_TRACES_EXPORTER", "none")]);
    assert!(without_traces.unwrap().is_some());
    assert_eq!(read(&[own]), Ok(None));
    assert_eq!(metrics(&[]), Ok(None));
    assert!(metrics(&[all, ("OTEL_METRIC_EXPORT_INTERVAL", "0")]).is_err());
    assert!(metrics(&[all, ("OTEL_METRICS_EXPORTER", "prometheus")]).is_err());
}

#[test]
fn headers_are_pairs_with_encoded_values() {
    let read = metrics(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "Authorization=Basic%20cGF5bWVudHM%3D, x-team = payments,nothing",
        ),
    ]);
    let headers = read.unwrap().unwrap().target.headers;
    let headers: Vec<_> = headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.expose()))
        .collect();
    assert_eq!(
        headers,
        [
            ("authorization", "Basic cGF5bWVudHM="),
            ("x-team", "payments")
        ]
    );
}
