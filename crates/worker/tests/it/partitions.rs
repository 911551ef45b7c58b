//! The partitions of the ledger and of the audit, which a worker keeps ready.

use harkara_testkit::TestDatabase;

use crate::pipeline::{Pipeline, Worker, until};

const TABLES: [&str; 2] = ["webhook_events", "audit_logs"];

/// The gauge of the rows in a table's default partition.
async fn default_rows(worker: &Worker, table: &str) -> u64 {
    let gauge = format!("harkara_worker_default_partition_rows{{table=\"{table}\"}}");
    worker.counter(&gauge).await
}

#[tokio::test]
async fn rows_without_a_partition_get_one_while_the_worker_works() {
    let mut pipeline = Pipeline::start().await;
    let month = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";
    let month = pipeline.text(month).await;
    let drop = format!("DROP TABLE webhook_events_{month}, audit_logs_{month}");
    pipeline.database.execute(&drop).await;
    let old_rows = "INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, \
          body_sha256, signature, created_at) \
        VALUES ('old', 'made.up', 'default', 'default', 'processed', '{}', '', '', '2019-07-01 00:00Z'); \
        INSERT INTO audit_logs (at, actor, action, entity_type, entity_id) \
        VALUES ('2019-07-01 00:00Z', 'worker', 'status_changed', 'payment', 'pay_old')";
    pipeline.database.execute(old_rows).await;
    // Partitions cannot change as long as it has not ended its transaction.
    let reader = TestDatabase::at(pipeline.database.url.clone()).await;
    let read = "BEGIN; SELECT FROM webhook_events; SELECT FROM audit_logs";
    reader.execute(read).await;

    let worker = pipeline.worker(&[]).await;
    for table in TABLES {
        until(&format!("the rows of {table} are counted"), async || {
            default_rows(&worker, table).await > 0
        })
        .await;
    }
    pipeline.deliver_payments(5).await;
    pipeline.until_processed(6).await;
    for table in TABLES {
        let default_table = format!("{table}_default");
        assert_eq!(pipeline.count(&default_table).await, 6, "{table}");
    }

    reader.execute("COMMIT").await;
    for table in TABLES {
        let what = format!("no row of {table} is left without a partition");
        until(&what, async || default_rows(&worker, table).await == 0).await;
        assert_eq!(pipeline.count(&format!("{table}_default")).await, 0);
        assert_eq!(pipeline.count(&format!("{table}_2019_07")).await, 1);
        assert_eq!(pipeline.count(&format!("{table}_{month}")).await, 5);
    }
    worker.stop().await;
}
