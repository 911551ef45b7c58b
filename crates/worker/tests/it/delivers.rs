//! Accepted deliveries become rows.

use harkara_core::catalogue;
use harkara_core::lane::Lane;
use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_storage::ledger;

use crate::pipeline::{Pipeline, SECRET, exchange};

#[tokio::test]
async fn every_typed_event_is_processed_and_leaves_the_stream() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let events: Vec<_> = catalogue::typed()
        .map(|known| pipeline.bodies.event(known.name))
        .collect();
    for event in &events {
        pipeline.deliver(event).await;
    }
    pipeline.until_events("processed", 30).await;
    pipeline.until_drained().await;

    let pool = pipeline.database.pool();
    for event in &events {
        let found = ledger::find(&pool, std::slice::from_ref(&event.event_id))
            .await
            .unwrap();
        let [found] = found.as_slice() else {
            panic!("{}: {} rows", event.name, found.len())
        };
        assert_eq!(found.row.event_type, event.name);
        assert_eq!(
            found.row.lane,
            Lane::of_family(catalogue::find(&event.name).unwrap().family).as_str()
        );
        assert_eq!(found.body, event.body, "{} keeps its bytes", event.name);
        assert_eq!(found.signature, sign(&Secret::new(SECRET), &event.body));
        assert!(found.row.traceparent.is_some());
        let changes = ledger::changes(&pool, std::slice::from_ref(&event.event_id))
            .await
            .unwrap();
        assert!(!changes.is_empty(), "{} changed no row", event.name);
    }
    worker.stop().await;
}

#[tokio::test]
async fn every_catalogued_event_and_an_unheard_of_one_is_processed() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let mut n_events = 0;
    for known in catalogue::EVENTS {
        let event = pipeline.bodies.event(known.name);
        pipeline.deliver(&event).await;
        n_events += 1;
    }
    pipeline
        .deliver_body("unheard-of", r#"{"event":"moon.landed","payload":{}}"#)
        .await;
    pipeline.until_events("processed", n_events + 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn the_operators_monitoring_query_works_unchanged() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    for name in ["payment.captured", "payment.captured", "order.paid"] {
        let event = pipeline.bodies.event(name);
        pipeline.deliver(&event).await;
    }
    pipeline
        .deliver_body("broken", r#"{"event":"payment.captured"}"#)
        .await;
    pipeline.until_events("processed", 3).await;
    pipeline.until_events("failed", 1).await;
    let mut rows = pipeline
        .database
        .rows(
            "SELECT event_type, COUNT(*) AS total,
       COUNT(CASE WHEN processed = true THEN 1 END) AS processed,
       COUNT(CASE WHEN processed = false THEN 1 END) AS pending
FROM webhook_events WHERE created_at >= NOW() - INTERVAL '1 hour' GROUP BY event_type",
        )
        .await;
    rows.sort();
    assert_eq!(
        rows,
        [
            r#"{"event_type":"order.paid","total":1,"processed":1,"pending":0}"#,
            r#"{"event_type":"payment.captured","total":3,"processed":2,"pending":1}"#,
        ]
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_trace_can_be_followed_from_the_request_to_the_row() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let body = r#"{"event":"moon.landed"}"#;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = format!(
        "POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\
         X-Razorpay-Signature: {}\r\ntraceparent: {traceparent}\r\ntracestate: vendor=1\r\n\r\n{body}",
        body.len(),
        sign(&Secret::new(SECRET), body.as_bytes()),
    );
    let answer = exchange(pipeline.public, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    pipeline.until_events("processed", 1).await;
    let kept: String = pipeline
        .database
        .value("SELECT traceparent || ' ' || tracestate FROM webhook_events")
        .await;
    assert_eq!(kept, format!("{traceparent} vendor=1"));
    worker.stop().await;
}
