use std::time::Duration;

use super::{Environment, InvalidVariable, MetricsEnvironment, Protocol};
use crate::sampling::Sampling;

fn read(variables: &[(&str, &str)]) -> Result<Option<Environment>, InvalidVariable> {
    let find = |name: &str| {
        let found = variables.iter().find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Environment::read(&find)
}

fn with(variables: &[(&str, &str)]) -> Environment {
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")];
    read(&[&endpoint, variables].concat()).unwrap().unwrap()
}

#[test]
fn nothing_is_exported_where_nobody_says_where_to() {
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
fn a_password_in_the_endpoint_is_not_told() {
    let told = |endpoint| {
        with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)])
            .target
            .told()
    };
    assert_eq!(
        told("https://me:pa@ss@otel:4318/v1/a@b"),
        "https://otel:4318/v1/a@b"
    );
    assert_eq!(told("http://me:pass@otel"), "http://otel");
    assert_eq!(
        told("http://otel:4318/v1/traces"),
        "http://otel:4318/v1/traces"
    );
}

#[test]
fn defaults_are_those_of_the_standard_but_for_the_wait() {
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
fn what_is_said_for_traces_goes_before_what_is_said_for_all() {
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
fn the_port_of_grpc_means_grpc_unless_someone_says_otherwise() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let by_port = read(&[endpoint]).unwrap().unwrap();
    assert_eq!(by_port.target.protocol, Protocol::Grpc);
    assert_eq!(by_port.target.endpoint, "http://collector:4317");
    let said = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let said = read(&[endpoint, said]).unwrap().unwrap();
    assert_eq!(said.target.protocol, Protocol::Http);
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
fn a_variable_that_means_nothing_is_told_with_what_was_expected() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
    ] {
        let told = read(&[endpoint, (name, value)]).unwrap_err().to_string();
        assert!(
            told.starts_with(&format!("{name} is {value:?}; expected ")),
            "{told}"
        );
    }
    let ratio = [
        endpoint,
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    assert!(
        read(&ratio)
            .unwrap_err()
            .to_string()
            .contains("from 0 to 1")
    );
}

fn metrics(variables: &[(&str, &str)]) -> Result<Option<MetricsEnvironment>, InvalidVariable> {
    let find = |name: &str| {
        let found = variables.iter().find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    MetricsEnvironment::read(&find)
}

#[test]
fn metrics_have_an_endpoint_and_a_switch_of_their_own() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let read = metrics(&[all]).unwrap().unwrap();
    assert_eq!(read.target.endpoint, "http://collector:4318/v1/metrics");
    assert_eq!(read.every, Duration::from_mins(1));
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9/in");
    let read = metrics(&[all, own, ("OTEL_METRIC_EXPORT_INTERVAL", "250")]);
    let read = read.unwrap().unwrap();
    assert_eq!(read.target.endpoint, "http://metrics:9/in");
    assert_eq!(read.every, Duration::from_millis(250));
    // Each can be had without the other.
    assert_eq!(metrics(&[all, ("OTEL_METRICS_EXPORTER", "none")]), Ok(None));
    assert!(
        metrics(&[all, ("OTEL_TRACES_EXPORTER", "none")])
            .unwrap()
            .is_some()
    );
    assert_eq!(
        Environment::read(&|name| (name == own.0).then(|| own.1.to_owned())),
        Ok(None)
    );
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
