//! Applying a delivery twice changes nothing.

use harkara_core::delivery::body_sha256;

use crate::pipeline::Pipeline;

#[tokio::test]
async fn a_repeated_delivery_is_counted_and_has_no_second_effect() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("invoice.paid");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    let before = tables(&pipeline).await;
    for _ in 0..3 {
        pipeline.deliver(&event).await;
    }
    pipeline.until_drained().await;
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT count(*) FROM webhook_events")
            .await,
        1
    );
    assert_eq!(
        pipeline
            .database
            .value::<i32>("SELECT duplicates FROM webhook_events")
            .await,
        3
    );
    assert_eq!(tables(&pipeline).await, before);
    worker.stop().await;
}

#[tokio::test]
async fn a_signed_body_replayed_under_another_id_is_recognised() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment_link.paid");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    let before = tables(&pipeline).await;
    pipeline
        .deliver_body("made-up-by-an-attacker", event.body.clone())
        .await;
    pipeline.until_drained().await;
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT count(*) FROM webhook_events")
            .await,
        1
    );
    assert_eq!(
        pipeline
            .database
            .value::<i32>("SELECT other_id_duplicates FROM webhook_events")
            .await,
        1
    );
    assert_eq!(
        pipeline
            .database
            .value::<i32>("SELECT duplicates FROM webhook_events")
            .await,
        0
    );
    assert_eq!(tables(&pipeline).await, before);
    worker.stop().await;
}

#[tokio::test]
async fn a_second_body_under_a_known_id_is_not_lost() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let (first, second) = (
        pipeline.bodies.event("payment.captured"),
        pipeline.bodies.event("payment.captured"),
    );
    pipeline.deliver_body("same-id", first.body).await;
    pipeline.deliver_body("same-id", second.body).await;
    pipeline.until_events("processed", 2).await;
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT count(*) FROM payment_transactions")
            .await,
        2
    );
    worker.stop().await;
}

#[tokio::test]
async fn repeated_deliveries_to_several_workers_take_effect_once() {
    let mut pipeline = Pipeline::start().await;
    let events: Vec<_> = (0..40)
        .map(|_| pipeline.bodies.event("payment.captured"))
        .collect();
    for event in events.iter().chain(&events).chain(&events) {
        pipeline.deliver(event).await;
    }
    // Small batches, so that copies of one event are committed at the same time by different workers.
    let changed = |name| [("worker.batch_entries_max", "7"), ("worker.consumer", name)];
    let workers = [
        pipeline.worker(&changed("one")).await,
        pipeline.worker(&changed("two")).await,
    ];
    pipeline.until_drained().await;
    assert_eq!(pipeline.events("processed").await, 40);
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT sum(duplicates) FROM webhook_events")
            .await,
        80
    );
    let audited = "SELECT count(*) FROM audit_logs WHERE entity_type = 'payment'";
    assert_eq!(pipeline.database.value::<i64>(audited).await, 40);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn an_id_occupied_in_advance_costs_no_body_its_row() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let third = br#"{"event":"x.three"}"#;
    let digest = const_hex::encode(body_sha256(third));
    pipeline
        .deliver_body("X", &br#"{"event":"x.one"}"#[..])
        .await;
    // What the third body would be called, once it comes under the first one's id; and its derived id.
    pipeline
        .deliver_body(&format!("X~{digest}"), &br#"{"event":"x.two"}"#[..])
        .await;
    pipeline
        .deliver_body(&format!("sha256:{digest}"), &br#"{"event":"x.four"}"#[..])
        .await;
    pipeline.until_events("processed", 3).await;
    pipeline.deliver_body("X", &third[..]).await;
    pipeline.until_events("processed", 4).await;
    worker.stop().await;
}

/// Everything that an effect would show in.
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
        let mut rows = pipeline
            .database
            .rows(&format!("SELECT * FROM {table}"))
            .await;
        rows.sort();
        tables.push(rows);
    }
    tables
}
