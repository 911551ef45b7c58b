use std::time::{Duration, Instant};

use harkara_telemetry::{Metrics, MetricsEnvironment, MetricsExporting};
use harkara_testkit::{Authority, Collector, Folder, Reaction, free_port};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use harkara_telemetry::catalogue::WORKER_BATCHES;

use crate::{shown, until_shown};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const SERVICE: &str = "harkara-test";

/// Longer than any test takes.
const LONG_MS: &str = "600000";

/// Exports one counter, which is 3.
fn export(variables: &[(&str, &str)]) -> (MetricsExporting, Metrics, Counter) {
    let mut registry = Registry::default();
    let counter = Counter::default();
    counter.inc_by(3);
    WORKER_BATCHES.register(&mut registry, counter.clone());
    let metrics = Metrics::of(registry);
    let find = |name: &str| {
        let short = [("OTEL_METRIC_EXPORT_INTERVAL", "10")];
        let found = variables.iter().chain(&short).find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let environment = MetricsEnvironment::read(&find).unwrap();
    let exporting =
        MetricsExporting::start(environment.as_ref(), metrics.clone(), SERVICE, "test-1").unwrap();
    (exporting, metrics, counter)
}

async fn until_counted(metrics: &Metrics, outcome: &str) {
    let series = format!("harkara_telemetry_metric_exports_total{{outcome=\"{outcome}\"}}");
    until_shown(&series, || shown(metrics.registry(), &series) >= 1).await;
}

/// What the last export told of the counter.
fn told(collector: &Collector) -> Option<f64> {
    let last = collector.metrics().pop()?;
    let metrics = last.metrics.iter();
    let mut counter = metrics.filter(|metric| metric.name == WORKER_BATCHES.name);
    let Some(Data::Sum(sum)) = counter.next_back()?.data.clone() else {
        panic!("{last:?}");
    };
    match sum.data_points[0].value {
        Some(Value::AsDouble(value)) => Some(value),
        ref other => panic!("{other:?}"),
    }
}

async fn arrive(collector: &Collector, variables: &[(&str, &str)]) {
    let endpoint = collector.endpoint();
    let own = [
        (ENDPOINT, endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", collector.protocol()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10"),
    ];
    let (exporting, metrics, counter) = export(&[&own, variables].concat());
    until_shown("3", || told(collector) == Some(3.0)).await;
    counter.inc();
    until_shown("4", || told(collector) == Some(4.0)).await;
    let resource = collector.metrics().pop().unwrap().resource;
    assert_eq!(resource["service.instance.id"], "test-1");
    assert_eq!(resource["service.namespace"], "harkara");
    let headers = collector.headers();
    assert!(headers.iter().all(|headers| headers["x-tenant"] == "a b"));
    until_counted(&metrics, "exported").await;
    exporting.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_arrive_over_grpc_again_and_again() {
    arrive(&Collector::grpc().await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_arrive_over_http_again_and_again() {
    arrive(&Collector::http(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_arrive_over_tls_from_one_who_shows_a_certificate() {
    let authority = Authority::new("telemetry");
    let pem = authority.pem();
    let collector = Collector::grpc_over_tls(&authority.issue(&["localhost"]), Some(&pem)).await;
    let folder = Folder::new();
    let own = authority.issue(&["harkara"]);
    let files = [
        ("ca.pem", &pem),
        ("own.pem", &own.pem),
        ("own.key", &own.key_pem),
    ];
    let [authority, certificate, key] = files.map(|(name, text)| {
        folder.write(name, text);
        folder.path().join(name).to_str().unwrap().to_owned()
    });
    let variables = [
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", &*authority),
        (
            "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
            &*certificate,
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", &*key),
    ];
    arrive(&collector, &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_go_to_an_endpoint_of_their_own() {
    let (of_traces, of_metrics) = (Collector::http(), Collector::http());
    let endpoint = format!("{}/v1/metrics", of_metrics.endpoint());
    let (exporting, metrics, _) = export(&[
        (ENDPOINT, &of_traces.endpoint()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint),
    ]);
    until_counted(&metrics, "exported").await;
    exporting.finish();
    assert_eq!(told(&of_metrics), Some(3.0));
    assert!(of_traces.metrics().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_where_variables_say_so() {
    let collector = Collector::http();
    let endpoint = collector.endpoint();
    let (exporting, metrics, _) =
        export(&[(ENDPOINT, &endpoint), ("OTEL_METRICS_EXPORTER", "none")]);
    exporting.finish();
    assert!(collector.metrics().is_empty());
    let series = "harkara_telemetry_metric_exports_total{outcome=\"failed\"}";
    assert_eq!(shown(metrics.registry(), series), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_does_not_take_is_counted_and_the_next_holds_it() {
    for collector in [Collector::http(), Collector::grpc().await] {
        let protocol = collector.protocol();
        collector.set(Reaction::Refuse);
        let endpoint = collector.endpoint();
        let (exporting, metrics, _) = export(&[
            (ENDPOINT, &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_METRIC_EXPORT_INTERVAL", "10"),
        ]);
        until_counted(&metrics, "failed").await;
        collector.set(Reaction::Take);
        until_counted(&metrics, "exported").await;
        exporting.finish();
        assert_eq!(told(&collector), Some(3.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_takes_a_part_of_counts_as_failed() {
    for collector in [Collector::http(), Collector::grpc().await] {
        collector.set(Reaction::RejectPart);
        let (exporting, metrics, _) = export(&[
            (ENDPOINT, &collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", collector.protocol()),
        ]);
        until_counted(&metrics, "failed").await;
        exporting.finish();
        let exported = "harkara_telemetry_metric_exports_total{outcome=\"exported\"}";
        assert_eq!(shown(metrics.registry(), exported), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_slow_counts_as_failed() {
    let away = format!("http://127.0.0.1:{}", free_port());
    for protocol in ["grpc", "http/protobuf"] {
        let variables = [
            (ENDPOINT, &*away),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let (exporting, metrics, _) = export(&variables);
        until_counted(&metrics, "failed").await;
        exporting.finish();
    }
    let slow = Collector::http();
    slow.set(Reaction::After(Duration::from_mins(10)));
    let (exporting, metrics, _) = export(&[
        (ENDPOINT, &slow.endpoint()),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "50"),
    ]);
    until_counted(&metrics, "failed").await;
    exporting.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_sent_a_last_time_before_the_end() {
    let collector = Collector::http();
    let (exporting, _, counter) = export(&[
        (ENDPOINT, &collector.endpoint()),
        ("OTEL_METRIC_EXPORT_INTERVAL", LONG_MS),
    ]);
    counter.inc_by(10);
    exporting.finish();
    assert_eq!(told(&collector), Some(13.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_does_not_wait_long_for_a_slow_collector() {
    let collector = Collector::http();
    collector.set(Reaction::After(Duration::from_mins(10)));
    let (exporting, _, _) = export(&[
        (ENDPOINT, &collector.endpoint()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", LONG_MS),
    ]);
    let began = Instant::now();
    exporting.finish();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_and_port_are_an_endpoint_of_grpc() {
    let collector = Collector::grpc().await;
    let endpoint = collector.endpoint().replace("http://", "");
    let (exporting, metrics, _) = export(&[
        (ENDPOINT, &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
    ]);
    until_counted(&metrics, "exported").await;
    exporting.finish();
}
