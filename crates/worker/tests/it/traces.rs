//! One trace from the request to the acknowledgement, at a real receiver of OTLP.

use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_storage::ledger::{ReplaySelection, replay};
use harkara_telemetry::{Limits, TraceExporter};
use harkara_testkit::{CollectedSpan, Collector, Reaction};

use crate::pipeline::{Pipeline, SECRET, exchange};

const LIMITS: Limits = Limits {
    ordinary_per_s_max: 1_000,
    slow: Duration::from_mins(1),
};

/// An exporter to this collector, with a sampler.
fn export(collector: &Collector, sampler: &str, limits: Limits) -> TraceExporter {
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
    TraceExporter::start(&variables, limits, "harkara", "test").unwrap()
}

fn named<'a>(spans: &'a [CollectedSpan], name: &str) -> Vec<&'a CollectedSpan> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn has(name: &str, n_spans: usize) -> impl Fn(&[CollectedSpan]) -> bool {
    move |spans| named(spans, name).len() >= n_spans
}

#[tokio::test]
async fn a_delivery_is_one_trace_from_the_request_to_the_acknowledgement() {
    let collector = Collector::http();
    let exporting = export(&collector, "parentbased_always_on", LIMITS);
    let mut pipeline = Pipeline::start_traced(exporting.tracer()).await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;

    let spans = collector
        .wait("the batch is told of", has("batch", 1))
        .await;
    let batch = named(&spans, "batch")[0];
    let all_of_batch = |spans: &[CollectedSpan]| {
        let of_batch = spans.iter().filter(|span| span.trace_id == batch.trace_id);
        of_batch.filter(|span| span.name == "acknowledge").count() == 1
    };
    let spans = collector
        .wait("the batch has come to its end", all_of_batch)
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
    assert_eq!(
        batch.links,
        [(append.trace_id.clone(), append.span_id.clone())]
    );
    assert!(
        process
            .links
            .contains(&(batch.trace_id.clone(), batch.span_id.clone()))
    );
    let commit_of_batch = spans
        .iter()
        .find(|span| span.name == "commit" && span.parent_span_id == batch.span_id)
        .unwrap();
    let statements: Vec<&str> = spans
        .iter()
        .filter(|span| span.parent_span_id == commit_of_batch.span_id)
        .map(|span| span.name.as_str())
        .collect();
    assert!(statements.contains(&"insert ledger rows"), "{statements:?}");
    assert!(
        statements.contains(&"payment_transactions"),
        "{statements:?}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_batch_links_to_the_request_of_each_of_its_events() {
    let collector = Collector::http();
    let exporting = export(&collector, "always_on", LIMITS);
    let mut pipeline = Pipeline::start_traced(exporting.tracer()).await;
    for _ in 0..5 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    let worker = pipeline.worker(&[]).await;
    let spans = collector.wait("all are processed", |spans| {
        has("process default", 5)(spans)
            && has("batch", 1)(spans)
            && has("append default", 5)(spans)
    });
    let spans = spans.await;
    let mut appended: Vec<_> = named(&spans, "append default")
        .iter()
        .map(|span| (span.trace_id.clone(), span.span_id.clone()))
        .collect();
    let mut linked: Vec<_> = named(&spans, "batch")
        .iter()
        .flat_map(|batch| batch.links.clone())
        .collect();
    appended.sort();
    linked.sort();
    assert_eq!(linked, appended);
    worker.stop().await;
}

#[tokio::test]
async fn a_replay_is_a_trace_of_its_own_that_links_to_the_request() {
    let collector = Collector::http();
    let exporting = export(&collector, "always_on", LIMITS);
    let mut pipeline = Pipeline::start_traced(exporting.tracer()).await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    let all = ReplaySelection::default();
    let pool = pipeline.database.pool();
    assert_eq!(replay(&pool, &all, "operator:test").await.unwrap(), 1);

    let spans = collector
        .wait("it is processed twice", has("process default", 2))
        .await;
    let append = named(&spans, "append default")[0];
    let (again, first): (Vec<_>, Vec<_>) = named(&spans, "process default")
        .into_iter()
        .partition(|span| span.trace_id != append.trace_id);
    assert_eq!((again.len(), first.len()), (1, 1));
    let request = (append.trace_id.clone(), append.span_id.clone());
    assert!(again[0].links.contains(&request), "{again:#?}");
    assert_eq!(again[0].parent_span_id, "");
    assert_eq!(again[0].attributes["harkara.event.id"], event.event_id);
    worker.stop().await;
}

#[tokio::test]
async fn a_caller_s_trace_goes_on() {
    let collector = Collector::http();
    // Nothing is kept but what the caller asks for.
    let exporting = export(&collector, "parentbased_always_off", LIMITS);
    let pipeline = Pipeline::start_traced(exporting.tracer()).await;
    let worker = pipeline.worker(&[]).await;
    let body = r#"{"event":"moon.landed"}"#;
    let signature = sign(&Secret::new(SECRET), body.as_bytes());
    let request = format!(
        "POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\
         X-Razorpay-Signature: {signature}\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n{body}",
        body.len(),
    );
    let answer = exchange(pipeline.public, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let spans = collector
        .wait("it is processed", has("process default", 1))
        .await;
    let receive = named(&spans, "POST /webhooks/razorpay")[0];
    assert_eq!(receive.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(receive.parent_span_id, "00f067aa0ba902b7");
    let process = named(&spans, "process default")[0];
    assert_eq!(process.trace_id, receive.trace_id);
    worker.stop().await;
}

#[tokio::test]
async fn what_is_not_ordinary_is_kept_whatever_the_sampler_says() {
    let collector = Collector::http();
    let exporting = export(&collector, "always_off", LIMITS);
    let mut pipeline = Pipeline::start_traced(exporting.tracer()).await;
    let worker = pipeline.worker(&[]).await;
    let ordinary = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&ordinary).await;
    pipeline.until_events("processed", 1).await;
    let request = "POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n\r\n{}";
    let answer = exchange(pipeline.public, request).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    pipeline.deliver_body("dead", "no JSON").await;
    pipeline.until_events("failed", 1).await;

    let spans = collector
        .wait("the two are kept", |spans| {
            has("process default", 1)(spans) && has("verify", 1)(spans)
        })
        .await;
    let refused = named(&spans, "verify")[0];
    assert_eq!(refused.attributes["harkara.refusal"], "missing");
    let failed = named(&spans, "process default")[0];
    assert!(failed.failed);
    assert_eq!(failed.attributes["harkara.event.id"], "dead");
    assert_eq!(named(&spans, "process default").len(), 1, "{spans:#?}");
    worker.stop().await;
}

#[tokio::test]
async fn what_is_slow_is_kept_whatever_the_sampler_says() {
    let collector = Collector::http();
    let limits = Limits {
        slow: Duration::from_millis(300),
        ..LIMITS
    };
    let exporting = export(&collector, "always_off", limits);
    let mut pipeline = Pipeline::start_traced(exporting.tracer()).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.hold_commits().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let since = std::time::Instant::now();
    harkara_testkit::wait_until("it is slow", crate::pipeline::BOUND, async || {
        since.elapsed() > limits.slow
    })
    .await;
    pipeline.release_commits().await;
    let spans = collector
        .wait("it is kept", has("process default", 1))
        .await;
    assert_eq!(
        named(&spans, "process default")[0].attributes["harkara.event.id"],
        event.event_id
    );
    worker.stop().await;
}

#[tokio::test]
async fn with_links_only_processing_is_a_trace_of_its_own() {
    let collector = Collector::http();
    let exporting = export(&collector, "always_on", LIMITS);
    let mut pipeline = Pipeline::start_traced(exporting.tracer()).await;
    let worker = pipeline.worker(&[("trace.links_only", "true")]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let spans = collector
        .wait("it is processed", has("process default", 1))
        .await;
    let spans = collector
        .wait("it is appended", has("append default", 1))
        .await
        .len()
        .max(spans.len());
    assert!(spans >= 2);
    let spans = collector.spans();
    let (append, process) = (
        named(&spans, "append default")[0],
        named(&spans, "process default")[0],
    );
    assert_ne!(append.trace_id, process.trace_id);
    assert!(
        process
            .links
            .contains(&(append.trace_id.clone(), append.span_id.clone()))
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_collector_that_is_away_or_slow_delays_no_delivery() {
    for reaction in [Reaction::Refuse, Reaction::After(Duration::from_mins(1))] {
        let collector = Collector::http();
        collector.set(reaction);
        let exporting = export(&collector, "always_on", LIMITS);
        let mut pipeline = Pipeline::start_traced(exporting.tracer()).await;
        let worker = pipeline.worker(&[]).await;
        for _ in 0..50 {
            let event = pipeline.bodies.event("payment.captured");
            pipeline.deliver(&event).await;
        }
        pipeline.until_events("processed", 50).await;
        assert!(collector.spans().is_empty());
        worker.stop().await;
    }
}

#[tokio::test]
async fn no_span_holds_a_body_a_secret_or_a_personal_datum() {
    let collector = Collector::http();
    let exporting = export(&collector, "always_on", LIMITS);
    let pipeline = Pipeline::start_traced(exporting.tracer()).await;
    let worker = pipeline.worker(&[]).await;
    let private = [
        "+919812345678",
        "asha@example.com",
        "asha@upi",
        "4111",
        SECRET,
    ];
    let body = format!(
        r#"{{"event":"payment.captured","payload":{{"payment":{{"entity":{{"id":"pay_private1","status":"captured","amount":5,"contact":"{}","email":"{}","vpa":"{}","card":{{"last4":"{}"}}}}}}}}}}"#,
        private[0], private[1], private[2], private[3]
    );
    pipeline.deliver_body("private", body).await;
    // One that PostgreSQL itself refuses, whose error quotes what it refused.
    let refused = format!(
        r#"{{"event":"payment.captured","payload":{{"payment":{{"entity":{{"id":"pay_private2","status":"captured","amount":777,"email":"{}"}}}}}}}}"#,
        private[1]
    );
    pipeline
        .database
        .execute("ALTER TABLE payment_transactions ADD CONSTRAINT moody CHECK (amount <> 777)")
        .await;
    pipeline.deliver_body("refused", refused).await;
    let spans = collector
        .wait("both are told of", has("process default", 2))
        .await;
    let told = format!("{spans:?}");
    for private in private {
        assert!(!told.contains(private), "{private} in {told}");
    }
    worker.stop().await;
}
