use harkara_telemetry::{Exporting, SpanIds};
use harkara_testkit::{Collector, Reaction, free_port};

use crate::{LONG, counted, span, start, until_shown};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

pub(crate) async fn until_counted(exporting: &Exporting, outcome: &str, at_least: u64) {
    let what = format!("{at_least} spans are {outcome}");
    until_shown(&what, || counted(exporting, outcome) >= at_least).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_is_kept() {
    let exporting = start(&[]).unwrap();
    assert!(!exporting.tracer().is_on());
    exporting.tracer().record(span("nowhere", SpanIds::root()));
    assert_eq!(counted(&exporting, "exported"), 0);
    exporting.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_its_spans_and_nothing_else() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let exporting = start(&[(ENDPOINT, &endpoint)]).unwrap();
    exporting.tracer().record(span("lost", SpanIds::root()));
    until_counted(&exporting, "failed", 1).await;
    exporting.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_is_counted_and_the_next_may_be_taken() {
    let collector = Collector::http();
    collector.set(Reaction::Refuse);
    let endpoint = collector.endpoint();
    let exporting = start(&[(ENDPOINT, &endpoint)]).unwrap();
    exporting.tracer().record(span("refused", SpanIds::root()));
    until_counted(&exporting, "failed", 1).await;
    collector.set(Reaction::Take);
    exporting.tracer().record(span("taken", SpanIds::root()));
    until_counted(&exporting, "exported", 1).await;
    let names: Vec<String> = collector
        .spans()
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["taken"]);
    exporting.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_a_slow_collector_has_no_room_for_are_dropped_and_counted() {
    let collector = Collector::http();
    collector.set(Reaction::After(LONG));
    let endpoint = collector.endpoint();
    let exporting = start(&[
        (ENDPOINT, &endpoint),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
    ])
    .unwrap();
    for _ in 0..100 {
        exporting.tracer().record(span("many", SpanIds::root()));
    }
    let dropped = counted(&exporting, "dropped");
    assert!((90..=96).contains(&dropped), "{dropped}");
    // It has three seconds for the rest, and ends then.
    exporting.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_before_the_end() {
    let collector = Collector::http();
    let endpoint = collector.endpoint();
    let variables = [
        (ENDPOINT, &*endpoint),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3"),
    ];
    let exporting = start(&variables).unwrap();
    for _ in 0..10 {
        exporting.tracer().record(span("last", SpanIds::root()));
    }
    exporting.finish();
    assert_eq!(collector.spans().len(), 10);
}
