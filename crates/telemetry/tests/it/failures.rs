//! A collector that is missing, slow or refusing costs its spans and nothing else.

use harkara_telemetry::{SpanIds, TraceExporter};
use harkara_testkit::{Collector, Reaction, free_port};

use crate::{ENDPOINT, LONG, counted, span, start, start_to, until};

pub(crate) async fn until_counted(exporter: &TraceExporter, outcome: &str, at_least: u64) {
    let what = format!("{at_least} spans are {outcome}");
    until(&what, || counted(exporter, outcome) >= at_least).await;
}

fn record(exporter: &TraceExporter, name: &'static str, n_spans: usize) {
    for _ in 0..n_spans {
        exporter.tracer().record(span(name, SpanIds::root()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_is_kept() {
    let exporter = start(&[]).unwrap();
    assert!(!exporter.tracer().is_on());
    record(&exporter, "nowhere", 1);
    assert_eq!(counted(&exporter, "exported"), 0);
    exporter.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_collector_costs_its_spans() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let exporter = start(&[(ENDPOINT, &endpoint)]).unwrap();
    record(&exporter, "lost", 1);
    until_counted(&exporter, "failed", 1).await;
    exporter.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_spans_are_counted_and_later_ones_are_taken() {
    let collector = Collector::http();
    collector.set(Reaction::Refuse);
    let exporter = start_to(&collector, &[]);
    record(&exporter, "refused", 1);
    until_counted(&exporter, "failed", 1).await;
    collector.set(Reaction::Take);
    record(&exporter, "taken", 1);
    until_counted(&exporter, "exported", 1).await;
    let spans = collector.spans().into_iter();
    assert_eq!(spans.map(|span| span.name).collect::<Vec<_>>(), ["taken"]);
    exporter.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_beyond_the_queue_of_a_slow_collector_are_dropped_and_counted() {
    let collector = Collector::http();
    collector.set(Reaction::After(LONG));
    let variables = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
    ];
    let exporter = start_to(&collector, &variables);
    record(&exporter, "many", 100);
    let dropped = counted(&exporter, "dropped");
    assert!((90..=96).contains(&dropped), "{dropped}");
    // Ends after three seconds, with spans left.
    exporter.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_before_the_end() {
    let collector = Collector::http();
    let exporter = start_to(&collector, &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3")]);
    record(&exporter, "last", 10);
    exporter.finish();
    assert_eq!(collector.spans().len(), 10);
}
