//! Events that fail unexpectedly are retried from the ledger, up to a bound, and can be replayed.

use crate::pipeline::Pipeline;

/// A fault that has nothing to do with the events' content.
const CONSTRAINT: &str =
    "ALTER TABLE payment_transactions ADD CONSTRAINT moody CHECK (amount <> 777)";

const NO_CONSTRAINT: &str = "ALTER TABLE payment_transactions DROP CONSTRAINT moody";

/// A payment event that runs into it.
const EVENT: &str = r#"{"event":"payment.captured","payload":{"payment":{"entity":{"id":"pay_1","status":"captured","amount":777}}}}"#;

#[tokio::test]
async fn an_event_that_fails_unexpectedly_is_retried_until_it_succeeds() {
    let mut pipeline = Pipeline::start().await;
    pipeline.database.execute(CONSTRAINT).await;
    pipeline.deliver_body("moody", EVENT).await;
    pipeline.deliver_payments(10).await;
    let worker = pipeline.worker(&[("worker.attempts_max", "1000")]).await;
    // Its neighbours are unaffected, and its entry has left the stream.
    pipeline.until_processed(10).await;
    pipeline.until_events("pending", 1).await;
    let error = "SELECT error FROM webhook_events WHERE status = 'pending'";
    let error = pipeline.text(error).await;
    assert!(error.contains("moody"), "{error}");

    pipeline.database.execute(NO_CONSTRAINT).await;
    pipeline.until_events("processed", 11).await;
    let retried = "webhook_events WHERE razorpay_event_id = 'moody' \
        AND attempts > 1 AND error IS NULL AND next_attempt_at IS NULL";
    assert_eq!(pipeline.count(retried).await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn attempts_are_bounded_and_a_dead_letter_can_be_replayed() {
    let pipeline = Pipeline::start().await;
    pipeline.database.execute(CONSTRAINT).await;
    pipeline.deliver_body("moody", EVENT).await;
    let worker = pipeline.worker(&[("worker.attempts_max", "3")]).await;
    pipeline.until_events("failed", 1).await;
    assert_eq!(pipeline.sum("attempts").await, 3);
    let error = pipeline.text("SELECT error FROM webhook_events").await;
    assert!(error.starts_with("given up after 3 attempts: "), "{error}");

    pipeline.database.execute(NO_CONSTRAINT).await;
    assert_eq!(pipeline.replay_all().await, 1);
    pipeline.until_events("processed", 1).await;
    assert_eq!(pipeline.count("payment_transactions").await, 1);
    let audited = "SELECT actor || ' ' || from_status || '→' || to_status FROM audit_logs WHERE action = 'replay'";
    let audited = pipeline.text(audited).await;
    assert_eq!(audited, "operator:test failed→pending");
    worker.stop().await;
}
