//! One trace from the request to the acknowledgement, at a real receiver of OTLP.

use std::time::{Duration, Instant};

use harkara_telemetry::{Limits, TraceExporter};
use harkara_testkit::{CollectedSpan, Collector, Reaction, TestDatabase, redis_database};

use crate::pipeline::{Pipeline, SECRET, until};

const LIMITS: Limits = Limits {
    ordinary_per_s_max: 1_000,
    slow: Duration::from_mins(1),
};

/// The received traces of a pipeline.
struct Traces {
    collector: Collector,
    _exporter: TraceExporter,
}

impl Traces {
    /// Waits for as many spans of each name, and returns all spans.
    async fn wait(&self, wanted: &[(&str, usize)]) -> Vec<CollectedSpan> {
        let have_come = |spans: &[CollectedSpan]| {
            let mut wanted = wanted.iter();
            wanted.all(|(name, n_spans)| named(spans, name).len() >= *n_spans)
        };
        self.collector.wait(&format!("{wanted:?}"), have_come).await
    }

    /// Waits until as many events of the default lane are processed, and returns all spans.
    async fn wait_processed(&self, n_events: usize) -> Vec<CollectedSpan> {
        self.wait(&[("process default", n_events)]).await
    }
}

/// A pipeline that exports the traces a sampler selects.
async fn traced(sampler: &str) -> (Traces, Pipeline) {
    traced_to(Collector::http(), sampler, LIMITS).await
}

async fn traced_to(collector: Collector, sampler: &str, limits: Limits) -> (Traces, Pipeline) {
    let endpoint = collector.endpoint();
    let variables = |name: &str| {
        let value = match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => &endpoint,
            "OTEL_TRACES_SAMPLER" => sampler,
            "OTEL_BSP_SCHEDULE_DELAY" => "10",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let exporter = TraceExporter::start(&variables, limits, "harkara", "test").unwrap();
    let (database, redis) = (TestDatabase::migrated().await, redis_database().await);
    let pipeline = Pipeline::start_with(database, redis, &[], exporter.tracer().clone()).await;
    let traces = Traces {
        collector,
        _exporter: exporter,
    };
    (traces, pipeline)
}

/// Trace and span, as in a link.
fn ids(span: &CollectedSpan) -> (String, String) {
    (span.trace_id.clone(), span.span_id.clone())
}

fn named<'a>(spans: &'a [CollectedSpan], name: &str) -> Vec<&'a CollectedSpan> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_delivery_is_one_trace_from_the_request_to_the_acknowledgement() {
    let (traces, mut pipeline) = traced("parentbased_always_on").await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;

    let spans = traces.wait(&[("batch", 1)]).await;
    let batch = named(&spans, "batch")[0];
    let is_complete = |spans: &[CollectedSpan]| {
        let acknowledged = named(spans, "acknowledge").into_iter();
        acknowledged
            .filter(|span| span.trace_id == batch.trace_id)
            .count()
            == 1
    };
    let spans = traces
        .collector
        .wait("the batch is acknowledged", is_complete)
        .await;

    let receive = named(&spans, "POST /webhooks/razorpay")[0];
    let trace: Vec<&CollectedSpan> = spans
        .iter()
        .filter(|span| span.trace_id == receive.trace_id)
        .collect();
    let in_trace = |name: &str| {
        let found: Vec<_> = trace.iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name} in {trace:#?}");
        *found[0]
    };
    let (verify, append) = (in_trace("verify"), in_trace("append default"));
    let process = in_trace("process default");
    let (commit, acknowledge) = (in_trace("commit"), in_trace("acknowledge"));
    assert_eq!(trace.len(), 6);
    for (span, parent, kind) in [
        (verify, receive, 1),
        (append, receive, 4),
        (process, append, 5),
        (commit, process, 3),
        (acknowledge, process, 3),
    ] {
        assert_eq!(span.parent_span_id, parent.span_id, "{}", span.name);
        assert_eq!(span.kind, kind, "{}", span.name);
        assert!(!span.failed && span.times.0 <= span.times.1);
    }
    assert_eq!((receive.parent_span_id.as_str(), receive.kind), ("", 2));
    assert_eq!(receive.attributes["http.response.status_code"], "200");
    assert_eq!(receive.attributes["http.route"], "/webhooks/razorpay");
    for span in [receive, append, process] {
        assert_eq!(span.attributes["harkara.event.id"], event.event_id);
        assert_eq!(span.attributes["harkara.event.type"], "payment.captured");
    }
    assert_eq!(append.attributes["messaging.system"], "redis_streams");
    assert_eq!(append.attributes["harkara.durability"], "appended");
    assert_eq!(process.attributes["harkara.outcome"], "processed");
    assert_eq!(commit.attributes["db.system.name"], "postgresql");
    assert_eq!(acknowledge.attributes["messaging.operation.type"], "settle");

    // The batch is a trace of its own: it links to the event's append, and the event links to it.
    assert_ne!(batch.trace_id, receive.trace_id);
    assert_eq!(batch.links, [ids(append)]);
    assert!(process.links.contains(&ids(batch)));
    let children_of = |parent: &CollectedSpan| {
        let parent = parent.span_id.clone();
        spans
            .iter()
            .filter(move |span| span.parent_span_id == parent)
    };
    let commit = children_of(batch)
        .find(|span| span.name == "commit")
        .unwrap();
    let statements: Vec<&str> = children_of(commit).map(|span| span.name.as_str()).collect();
    for expected in ["insert ledger rows", "payment_transactions"] {
        assert!(statements.contains(&expected), "{statements:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_batch_links_to_the_request_of_each_of_its_events() {
    let (traces, mut pipeline) = traced("always_on").await;
    pipeline.deliver_payments(5).await;
    let worker = pipeline.worker(&[]).await;
    let wanted = [("process default", 5), ("batch", 1), ("append default", 5)];
    let spans = traces.wait(&wanted).await;
    let appended = named(&spans, "append default").into_iter();
    let mut appended: Vec<_> = appended.map(ids).collect();
    let batches = named(&spans, "batch").into_iter();
    let mut linked: Vec<_> = batches.flat_map(|batch| batch.links.clone()).collect();
    appended.sort();
    linked.sort();
    assert_eq!(linked, appended);
    worker.stop().await;
}

#[tokio::test]
async fn a_replay_is_a_trace_of_its_own_that_links_to_the_request() {
    let (traces, mut pipeline) = traced("always_on").await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    assert_eq!(pipeline.replay_all().await, 1);

    let spans = traces.wait_processed(2).await;
    let append = named(&spans, "append default")[0];
    let (again, first): (Vec<_>, Vec<_>) = named(&spans, "process default")
        .into_iter()
        .partition(|span| span.trace_id != append.trace_id);
    assert_eq!((again.len(), first.len()), (1, 1));
    assert!(again[0].links.contains(&ids(append)), "{again:#?}");
    assert_eq!(again[0].parent_span_id, "");
    assert_eq!(again[0].attributes["harkara.event.id"], event.event_id);
    worker.stop().await;
}

#[tokio::test]
async fn a_callers_trace_is_continued() {
    // Keeps only the traces that the caller samples.
    let (traces, pipeline) = traced("parentbased_always_off").await;
    let worker = pipeline.worker(&[]).await;
    let sampled = [(
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )];
    pipeline
        .post_signed(&sampled, r#"{"event":"moon.landed"}"#)
        .await;
    let spans = traces.wait_processed(1).await;
    let receive = named(&spans, "POST /webhooks/razorpay")[0];
    assert_eq!(receive.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(receive.parent_span_id, "00f067aa0ba902b7");
    let process = named(&spans, "process default")[0];
    assert_eq!(process.trace_id, receive.trace_id);
    worker.stop().await;
}

#[tokio::test]
async fn refused_and_failed_deliveries_are_kept_whatever_the_sampler_decides() {
    let (traces, mut pipeline) = traced("always_off").await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(1).await;
    pipeline.until_events("processed", 1).await;
    let unsampled = [(
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
    )];
    let answer = pipeline.post(&unsampled, "{}").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    pipeline.deliver_body("dead", "no JSON").await;
    pipeline.until_events("failed", 1).await;

    let spans = traces.wait(&[("process default", 1), ("verify", 1)]).await;
    let refused = named(&spans, "verify")[0];
    assert_eq!(refused.attributes["harkara.refusal"], "missing");
    let processed = named(&spans, "process default");
    assert_eq!(processed.len(), 1, "{spans:#?}");
    assert!(processed[0].failed);
    assert_eq!(processed[0].attributes["harkara.event.id"], "dead");
    worker.stop().await;
}

#[tokio::test]
async fn slow_deliveries_are_kept_whatever_the_sampler_decides() {
    let slow = Duration::from_millis(300);
    let limits = Limits { slow, ..LIMITS };
    let (traces, mut pipeline) = traced_to(Collector::http(), "always_off", limits).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.hold_commits().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let since = Instant::now();
    until("it is slow", async || since.elapsed() > slow).await;
    pipeline.unlock().await;
    let spans = traces.wait_processed(1).await;
    let process = named(&spans, "process default")[0];
    assert_eq!(process.attributes["harkara.event.id"], event.event_id);
    worker.stop().await;
}

#[tokio::test]
async fn with_links_only_processing_is_a_trace_of_its_own() {
    let (traces, mut pipeline) = traced("always_on").await;
    let worker = pipeline.worker(&[("trace.links_only", "true")]).await;
    pipeline.deliver_payments(1).await;
    let spans = traces
        .wait(&[("process default", 1), ("append default", 1)])
        .await;
    let append = named(&spans, "append default")[0];
    let process = named(&spans, "process default")[0];
    assert_ne!(append.trace_id, process.trace_id);
    assert!(process.links.contains(&ids(append)));
    worker.stop().await;
}

#[tokio::test]
async fn an_unavailable_or_slow_collector_delays_no_delivery() {
    for reaction in [Reaction::Refuse, Reaction::After(Duration::from_mins(1))] {
        let collector = Collector::http();
        collector.set(reaction);
        let (traces, mut pipeline) = traced_to(collector, "always_on", LIMITS).await;
        let worker = pipeline.worker(&[]).await;
        pipeline.deliver_payments(50).await;
        pipeline.until_events("processed", 50).await;
        assert!(traces.collector.spans().is_empty());
        worker.stop().await;
    }
}

#[tokio::test]
async fn no_span_contains_a_body_a_secret_or_personal_data() {
    let (traces, pipeline) = traced("always_on").await;
    let worker = pipeline.worker(&[]).await;
    // PostgreSQL itself refuses the second, and its error quotes the row.
    let constraint = "ALTER TABLE payment_transactions ADD CONSTRAINT moody CHECK (amount <> 777)";
    pipeline.database.execute(constraint).await;
    for (id, amount) in [("private", 5), ("refused", 777)] {
        let body = format!(
            r#"{{"event":"payment.captured","payload":{{"payment":{{"entity":{{"id":"pay_{id}","status":"captured","amount":{amount},"contact":"+919812345678","email":"asha@example.com","vpa":"asha@upi","card":{{"name":"Asha Rao"}}}}}}}}}}"#
        );
        pipeline.deliver_body(id, body).await;
    }
    let spans = format!("{:?}", traces.wait_processed(2).await);
    for private in ["+919812345678", "asha@", "Asha Rao", SECRET] {
        assert!(!spans.contains(private), "{private} in {spans}");
    }
    worker.stop().await;
}
