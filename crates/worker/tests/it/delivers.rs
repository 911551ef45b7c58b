//! Accepted deliveries become rows.

use harkara_core::catalogue;
use harkara_core::lane::Lane;
use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_storage::ledger;

use crate::pipeline::{Pipeline, SECRET};

#[tokio::test]
async fn every_catalogued_event_and_an_unknown_one_is_processed_and_leaves_the_stream() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let events = catalogue::EVENTS.iter();
    let events: Vec<_> = events
        .map(|spec| (spec, pipeline.bodies.event(spec.name)))
        .collect();
    for (_, event) in &events {
        pipeline.deliver(event).await;
    }
    let unknown = r#"{"event":"moon.landed","payload":{}}"#;
    pipeline.deliver_body("unknown", unknown).await;
    let n_events = i64::try_from(events.len()).unwrap();
    pipeline.until_processed(n_events + 1).await;

    let pool = pipeline.database.pool();
    for (spec, event) in events.iter().filter(|(spec, _)| spec.is_typed) {
        let id = std::slice::from_ref(&event.event_id);
        let found = ledger::find(&pool, id).await.unwrap();
        let [found] = found.as_slice() else {
            panic!("{}: {} rows", event.name, found.len())
        };
        assert_eq!(found.row.event_type, event.name);
        assert_eq!(found.row.lane, Lane::of_family(spec.family).as_str());
        assert_eq!(found.body, event.body, "{} keeps its bytes", event.name);
        assert_eq!(found.signature, sign(&Secret::new(SECRET), &event.body));
        assert!(found.row.traceparent.is_some());
        let changes = ledger::changes(&pool, id).await.unwrap();
        assert!(!changes.is_empty(), "{} changed no row", event.name);
    }
    worker.stop().await;
}

#[tokio::test]
async fn the_operators_monitoring_query_works_unchanged() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(2).await;
    pipeline.deliver_new("order.paid", 1).await;
    let broken = r#"{"event":"payment.captured"}"#;
    pipeline.deliver_body("broken", broken).await;
    pipeline.until_events("processed", 3).await;
    pipeline.until_events("failed", 1).await;
    let query = "SELECT event_type, COUNT(*) AS total,
       COUNT(CASE WHEN processed = true THEN 1 END) AS processed,
       COUNT(CASE WHEN processed = false THEN 1 END) AS pending
FROM webhook_events WHERE created_at >= NOW() - INTERVAL '1 hour' GROUP BY event_type";
    let mut rows = pipeline.database.rows(query).await;
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
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = [("traceparent", traceparent), ("tracestate", "vendor=1")];
    pipeline
        .post_signed(&trace, r#"{"event":"moon.landed"}"#)
        .await;
    pipeline.until_events("processed", 1).await;
    let stored = "SELECT traceparent || ' ' || tracestate FROM webhook_events";
    assert_eq!(
        pipeline.text(stored).await,
        format!("{traceparent} vendor=1")
    );
    worker.stop().await;
}
