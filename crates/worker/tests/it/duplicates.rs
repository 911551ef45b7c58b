//! Applying a delivery twice changes nothing.

use harkara_core::delivery::body_sha256;

use crate::pipeline::Pipeline;

#[tokio::test]
async fn a_duplicate_is_counted_and_has_no_second_effect() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let events = ["invoice.paid", "payment_link.paid"].map(|name| pipeline.bodies.event(name));
    for event in &events {
        pipeline.deliver(event).await;
    }
    pipeline.until_events("processed", 2).await;
    let before = tables(&pipeline).await;
    for event in [&events, &events, &events].into_iter().flatten() {
        pipeline.deliver(event).await;
    }
    pipeline.until_drained().await;
    assert_eq!(pipeline.count("webhook_events").await, 2);
    assert_eq!(pipeline.sum("duplicates").await, 6);

    // A signed body that is replayed under another id is recognised too.
    for event in events {
        let id = format!("{}-by-an-attacker", event.event_id);
        pipeline.deliver_body(&id, event.body).await;
    }
    pipeline.until_drained().await;
    assert_eq!(pipeline.count("webhook_events").await, 2);
    assert_eq!(pipeline.sum("other_id_duplicates").await, 2);
    assert_eq!(pipeline.sum("duplicates").await, 6);
    assert_eq!(tables(&pipeline).await, before);
    worker.stop().await;
}

#[tokio::test]
async fn a_second_body_under_a_known_id_is_not_lost() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    for _ in 0..2 {
        let body = pipeline.bodies.event("payment.captured").body;
        pipeline.deliver_body("same-id", body).await;
    }
    pipeline.until_events("processed", 2).await;
    assert_eq!(pipeline.count("payment_transactions").await, 2);
    worker.stop().await;
}

#[tokio::test]
async fn duplicates_to_several_workers_take_effect_once() {
    let mut pipeline = Pipeline::start().await;
    let events: Vec<_> = (0..40)
        .map(|_| pipeline.bodies.event("payment.captured"))
        .collect();
    for event in events.iter().chain(&events).chain(&events) {
        pipeline.deliver(event).await;
    }
    // Small batches, so that copies of one event are committed at the same time by different workers.
    let changed = |name| [("worker.batch_entries_max", "7"), ("worker.consumer", name)];
    let one = pipeline.worker(&changed("one")).await;
    let two = pipeline.worker(&changed("two")).await;
    pipeline.until_drained().await;
    assert_eq!(pipeline.events("processed").await, 40);
    assert_eq!(pipeline.sum("duplicates").await, 80);
    let audited = "audit_logs WHERE entity_type = 'payment'";
    assert_eq!(pipeline.count(audited).await, 40);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn an_id_occupied_in_advance_costs_no_body_its_row() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let third = r#"{"event":"x.three"}"#;
    let digest = const_hex::encode(body_sha256(third.as_bytes()));
    pipeline.deliver_body("X", r#"{"event":"x.one"}"#).await;
    // The id of the third body once it arrives under the first one's; and its derived id.
    let (contested, derived) = (format!("X~{digest}"), format!("sha256:{digest}"));
    pipeline
        .deliver_body(&contested, r#"{"event":"x.two"}"#)
        .await;
    pipeline
        .deliver_body(&derived, r#"{"event":"x.four"}"#)
        .await;
    pipeline.until_events("processed", 3).await;
    pipeline.deliver_body("X", third).await;
    pipeline.until_events("processed", 4).await;
    worker.stop().await;
}

/// The tables that an effect would change.
async fn tables(pipeline: &Pipeline) -> Vec<Vec<String>> {
    let mut tables = Vec::new();
    for table in [
        "payment_transactions",
        "payment_orders",
        "invoice_events",
        "payment_link_events",
        "entity_snapshots",
        "audit_logs",
    ] {
        let query = format!("SELECT * FROM {table}");
        let mut rows = pipeline.database.rows(&query).await;
        rows.sort();
        tables.push(rows);
    }
    tables
}
