//! The partitions of the ledger and of the audit, which a worker keeps ready.

use crate::pipeline::{Pipeline, until};

#[tokio::test]
async fn rows_without_a_partition_get_one_while_the_worker_works() {
    let mut pipeline = Pipeline::start().await;
    let month = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";
    let month = pipeline.text(month).await;
    let drop = format!("DROP TABLE webhook_events_{month}, audit_logs_{month}");
    pipeline.database.execute(&drop).await;
    let made_up = "INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, \
        body_sha256, signature, created_at) VALUES ('old', 'made.up', 'default', 'default', 'processed', '{}', '', '', \
        '2019-07-01 00:00Z')";
    pipeline.database.execute(made_up).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(5).await;
    pipeline.until_processed(6).await;
    until("the default partition is empty", async || {
        pipeline.count("webhook_events_default").await == 0
    })
    .await;
    assert_eq!(pipeline.count("webhook_events").await, 6);
    assert_eq!(pipeline.count("webhook_events_2019_07").await, 1);
    let rows = "harkara_worker_default_partition_rows{table=\"audit_logs\"}";
    assert_eq!(worker.counter(rows).await, 0);
    worker.stop().await;
}
