use harkara_telemetry::SpanIds;
use harkara_testkit::{Authority, CollectedSpan, Collector, Folder};

use crate::{span, start};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

async fn shows_a_span_and_its_child(collector: &Collector, variables: &[(&str, &str)]) {
    let endpoint = collector.endpoint();
    let variables = [&[(ENDPOINT, endpoint.as_str())], variables].concat();
    let exporting = start(&variables).unwrap();
    let first = SpanIds::root();
    let other = SpanIds::root();
    let tracer = exporting.tracer();
    tracer.record(
        span("child", first.child())
            .with("number", 7_i64)
            .linked(other),
    );
    tracer.record(span("first", first).failed("unavailable", "nothing took it"));
    let spans = collector
        .wait("both spans are there", |spans| spans.len() == 2)
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
    assert_eq!(first.resource["service.name"], "harkara-test");
    assert_eq!(first.resource["service.instance.id"], "test-1");
    exporting.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_over_grpc() {
    let collector = Collector::grpc().await;
    shows_a_span_and_its_child(&collector, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_over_http() {
    let collector = Collector::http();
    shows_a_span_and_its_child(&collector, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_over_tls_from_one_who_shows_a_certificate() {
    let authority = Authority::new("telemetry");
    let pem = authority.pem();
    let collector = Collector::grpc_over_tls(&authority.issue(&["localhost"]), Some(&pem)).await;
    let folder = Folder::new();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let own = authority.issue(&["harkara"]);
    let (authority, certificate, key) = (
        write("ca.pem", &pem),
        write("own.pem", &own.pem),
        write("own.key", &own.key_pem),
    );
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*authority),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*certificate),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key),
    ];
    shows_a_span_and_its_child(&collector, &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_cannot_be_trusted_gets_nothing() {
    let certificate = Authority::new("somebody").issue(&["localhost"]);
    let collector = Collector::grpc_over_tls(&certificate, None).await;
    let endpoint = collector.endpoint();
    let exporting = start(&[
        (ENDPOINT, &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ])
    .unwrap();
    exporting.tracer().record(span("secret", SpanIds::root()));
    crate::trouble::until_counted(&exporting, "failed", 1).await;
    assert!(collector.spans().is_empty());
    exporting.finish();
}

#[test]
fn a_certificate_file_that_is_missing_is_told_with_its_variable() {
    let told = start(&[
        (ENDPOINT, "https://collector:4317"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
    ]);
    let error = std::error::Error::source(&told.unwrap_err())
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE"),
        "{error}"
    );
}
