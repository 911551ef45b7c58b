//! Metrics arrive again and again, and failed exports are counted.

use std::time::{Duration, Instant};

use harkara_telemetry::catalogue::WORKER_BATCHES;
use harkara_telemetry::{Metrics, MetricsExporter};
use harkara_testkit::{Collector, Reaction, free_port};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::{ENDPOINT, INSTANCE, PROTOCOL, Pairs, SERVICE, lookup, over_tls, scraped, until};

const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";

/// Longer than any test takes, in milliseconds.
const LONG_MS: &str = "600000";

/// Exports one counter, which is 3.
fn export(variables: Pairs<'_>) -> (MetricsExporter, Metrics, Counter) {
    let mut registry = Registry::default();
    let counter = Counter::default();
    counter.inc_by(3);
    WORKER_BATCHES.register(&mut registry, counter.clone());
    let metrics = Metrics::of(registry);
    let variables = lookup(variables, (INTERVAL, "10"));
    let exporter = MetricsExporter::start(&variables, metrics.clone(), SERVICE, INSTANCE).unwrap();
    (exporter, metrics, counter)
}

/// Exports it to a collector.
fn export_to(collector: &Collector, variables: Pairs<'_>) -> (MetricsExporter, Metrics, Counter) {
    let endpoint = collector.endpoint();
    let own = [(ENDPOINT, &*endpoint), (PROTOCOL, collector.protocol())];
    export(&[variables, &own].concat())
}

fn exports(metrics: &Metrics, outcome: &str) -> u64 {
    let series = format!("harkara_telemetry_metric_exports_total{{outcome=\"{outcome}\"}}");
    scraped(metrics.registry(), &series)
}

async fn until_counted(metrics: &Metrics, outcome: &str) {
    until(outcome, || exports(metrics, outcome) >= 1).await;
}

/// The counter in the last export.
fn last_value(collector: &Collector) -> Option<f64> {
    let last = collector.metrics().pop()?;
    let metrics = last.metrics.iter();
    let mut counter = metrics.filter(|metric| metric.name == WORKER_BATCHES.name);
    let Some(Data::Sum(sum)) = &counter.next_back()?.data else {
        panic!("{last:?}");
    };
    match sum.data_points[0].value {
        Some(Value::AsDouble(value)) => Some(value),
        ref other => panic!("{other:?}"),
    }
}

async fn metrics_arrive(collector: &Collector, variables: Pairs<'_>) {
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b")];
    let (exporter, metrics, counter) = export_to(collector, &[&headers, variables].concat());
    until("3", || last_value(collector) == Some(3.0)).await;
    counter.inc();
    until("4", || last_value(collector) == Some(4.0)).await;
    let resource = collector.metrics().pop().unwrap().resource;
    assert_eq!(resource["service.instance.id"], INSTANCE);
    assert_eq!(resource["service.namespace"], "harkara");
    let headers = collector.headers();
    assert!(headers.iter().all(|headers| headers["x-tenant"] == "a b"));
    until_counted(&metrics, "exported").await;
    exporter.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_arrive_again_and_again_over_both_protocols_and_tls_with_a_client_certificate() {
    for collector in [Collector::grpc(), Collector::http()] {
        metrics_arrive(&collector, &[]).await;
    }
    over_tls("OTEL_EXPORTER_OTLP_METRICS", metrics_arrive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_go_to_their_own_endpoint() {
    let (of_traces, of_metrics) = (Collector::http(), Collector::http());
    let endpoint = format!("{}/v1/metrics", of_metrics.endpoint());
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*endpoint);
    let (exporter, metrics, _) = export_to(&of_traces, &[own]);
    until_counted(&metrics, "exported").await;
    exporter.finish();
    assert_eq!(last_value(&of_metrics), Some(3.0));
    assert!(of_traces.metrics().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_if_variables_turn_it_off() {
    let collector = Collector::http();
    let (exporter, metrics, _) = export_to(&collector, &[("OTEL_METRICS_EXPORTER", "none")]);
    exporter.finish();
    assert!(collector.metrics().is_empty());
    assert_eq!(exports(&metrics, "failed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_export_is_counted_and_the_next_holds_its_values() {
    for collector in [Collector::http(), Collector::grpc()] {
        collector.set(Reaction::Refuse);
        let (exporter, metrics, _) = export_to(&collector, &[]);
        until_counted(&metrics, "failed").await;
        collector.set(Reaction::Take);
        until_counted(&metrics, "exported").await;
        exporter.finish();
        assert_eq!(last_value(&collector), Some(3.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partly_rejected_export_counts_as_failed() {
    for collector in [Collector::http(), Collector::grpc()] {
        collector.set(Reaction::RejectPart);
        let (exporter, metrics, _) = export_to(&collector, &[]);
        until_counted(&metrics, "failed").await;
        exporter.finish();
        assert_eq!(exports(&metrics, "exported"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_to_an_unavailable_or_slow_collector_count_as_failed() {
    let unavailable = format!("http://127.0.0.1:{}", free_port());
    let slow = Collector::http();
    slow.set(Reaction::After(Duration::from_mins(10)));
    for (endpoint, variable) in [
        (&unavailable, (PROTOCOL, "grpc")),
        (&unavailable, (PROTOCOL, "http/protobuf")),
        (
            &slow.endpoint(),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "50"),
        ),
    ] {
        let (exporter, metrics, _) = export(&[(ENDPOINT, endpoint), variable]);
        until_counted(&metrics, "failed").await;
        exporter.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_sent_a_last_time_before_the_end() {
    let collector = Collector::http();
    let (exporter, _, counter) = export_to(&collector, &[(INTERVAL, LONG_MS)]);
    counter.inc_by(10);
    exporter.finish();
    assert_eq!(last_value(&collector), Some(13.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_does_not_wait_long_for_a_slow_collector() {
    let collector = Collector::http();
    collector.set(Reaction::After(Duration::from_mins(10)));
    let (exporter, _, _) = export_to(&collector, &[("OTEL_EXPORTER_OTLP_TIMEOUT", LONG_MS)]);
    let began = Instant::now();
    exporter.finish();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_and_port_are_an_endpoint_over_grpc() {
    let collector = Collector::grpc();
    let endpoint = collector.endpoint().replace("http://", "");
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    let (exporter, metrics, _) = export_to(&collector, &[(ENDPOINT, &endpoint), insecure]);
    until_counted(&metrics, "exported").await;
    exporter.finish();
}
