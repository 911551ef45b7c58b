//! Spans arrive, over each protocol and over TLS.

use std::error::Error;

use harkara_telemetry::SpanIds;
use harkara_testkit::{Authority, CollectedSpan, Collector};

use crate::failures::until_counted;
use crate::{ENDPOINT, INSTANCE, Pairs, SERVICE, over_tls, span, start, start_to};

async fn spans_arrive(collector: &Collector, variables: Pairs<'_>) {
    let exporter = start_to(collector, variables);
    let (first, other) = (SpanIds::root(), SpanIds::root());
    let child = span("child", first.child());
    let tracer = exporter.tracer();
    tracer.record(child.with("number", 7_i64).linked(other));
    tracer.record(span("first", first).failed("unavailable", "nothing took it"));
    let spans = collector
        .wait("both spans arrive", |spans| spans.len() == 2)
        .await;
    let named =
        |name: &str| -> &CollectedSpan { spans.iter().find(|span| span.name == name).unwrap() };
    let (child, first) = (named("child"), named("first"));
    assert_eq!(child.trace_id, first.trace_id);
    assert_eq!(child.parent_span_id, first.span_id);
    assert_eq!(first.parent_span_id, "");
    assert_eq!(child.attributes["number"], "7");
    assert_eq!(child.links.len(), 1);
    assert!(first.failed && !child.failed);
    assert_eq!(first.attributes["error.type"], "unavailable");
    assert_eq!(first.kind, 2);
    assert!(first.times.1 - first.times.0 >= 5_000_000);
    assert_eq!(first.resource["service.name"], SERVICE);
    assert_eq!(first.resource["service.instance.id"], INSTANCE);
    exporter.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_over_both_protocols_and_tls_with_a_client_certificate() {
    for collector in [Collector::grpc(), Collector::http()] {
        spans_arrive(&collector, &[]).await;
    }
    over_tls("OTEL_EXPORTER_OTLP", spans_arrive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_collector_gets_nothing() {
    let certificate = Authority::new("somebody").issue(&["localhost"]);
    let collector = Collector::grpc_over_tls(&certificate, None);
    let exporter = start_to(&collector, &[]);
    exporter.tracer().record(span("secret", SpanIds::root()));
    until_counted(&exporter, "failed", 1).await;
    assert!(collector.spans().is_empty());
    exporter.finish();
}

#[test]
fn a_missing_certificate_file_is_reported_with_its_variable() {
    let started = start(&[
        (ENDPOINT, "https://collector:4317"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
    ]);
    let error = started.unwrap_err().source().unwrap().to_string();
    assert!(
        error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE"),
        "{error}"
    );
}
