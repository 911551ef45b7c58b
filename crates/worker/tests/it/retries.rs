//! What fails unexpectedly is tried again from the ledger, up to a bound, and can be replayed.

use harkara_storage::ledger::{EventStatus, ReplaySelection, replay};

use crate::pipeline::Pipeline;

/// A fault that has nothing to do with the events' content.
const CONSTRAINT: &str =
    "ALTER TABLE payment_transactions ADD CONSTRAINT moody CHECK (amount <> 777)";

/// A payment event that runs into it.
const EVENT: &str = r#"{"event":"payment.captured","payload":{"payment":{"entity":{"id":"pay_1","status":"captured","amount":777}}}}"#;

#[tokio::test]
async fn an_event_that_fails_unexpectedly_is_retried_until_it_succeeds() {
    let mut pipeline = Pipeline::start().await;
    pipeline.database.execute(CONSTRAINT).await;
    pipeline.deliver_body("moody", EVENT).await;
    for _ in 0..10 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    let worker = pipeline.worker(&[("worker.attempts_max", "1000")]).await;
    // Its neighbours are unaffected, and its entry has left the stream.
    pipeline.until_events("processed", 10).await;
    pipeline.until_events("pending", 1).await;
    pipeline.until_drained().await;
    let error: String = pipeline
        .database
        .value("SELECT error FROM webhook_events WHERE status = 'pending'")
        .await;
    assert!(error.contains("moody"), "{error}");

    pipeline
        .database
        .execute("ALTER TABLE payment_transactions DROP CONSTRAINT moody")
        .await;
    pipeline.until_events("processed", 11).await;
    let row = "SELECT (attempts > 1 AND error IS NULL AND next_attempt_at IS NULL) FROM webhook_events WHERE razorpay_event_id = 'moody'";
    assert!(pipeline.database.value::<bool>(row).await);
    worker.stop().await;
}

#[tokio::test]
async fn attempts_are_bounded_and_a_dead_letter_can_be_replayed() {
    let pipeline = Pipeline::start().await;
    pipeline.database.execute(CONSTRAINT).await;
    pipeline.deliver_body("moody", EVENT).await;
    let worker = pipeline.worker(&[("worker.attempts_max", "3")]).await;
    pipeline.until_events("failed", 1).await;
    assert_eq!(
        pipeline
            .database
            .value::<i32>("SELECT attempts FROM webhook_events")
            .await,
        3
    );
    let error: String = pipeline
        .database
        .value("SELECT error FROM webhook_events")
        .await;
    assert!(error.starts_with("given up after 3 attempts: "), "{error}");

    pipeline
        .database
        .execute("ALTER TABLE payment_transactions DROP CONSTRAINT moody")
        .await;
    let failed = ReplaySelection {
        status: Some(EventStatus::Failed),
        ..ReplaySelection::default()
    };
    assert_eq!(
        replay(&pipeline.database.pool(), &failed, "operator:test")
            .await
            .unwrap(),
        1
    );
    pipeline.until_events("processed", 1).await;
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT count(*) FROM payment_transactions")
            .await,
        1
    );
    let audited = "SELECT actor || ' ' || from_status || '→' || to_status FROM audit_logs WHERE action = 'replay'";
    assert_eq!(
        pipeline.database.value::<String>(audited).await,
        "operator:test failed→pending"
    );
    worker.stop().await;
}
