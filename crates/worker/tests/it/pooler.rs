//! A deployment behind a pooler in transaction mode.

use harkara_core::lane::Lane;
use harkara_telemetry::Tracer;
use harkara_testkit::{PgBouncer, RedisServer, TestDatabase};

use crate::pipeline::{Pipeline, until};

/// Leaves the upkeep of partitions something to do, and remembers the durability of each commit, which the database
/// lowers.
async fn prepare(database: &TestDatabase) {
    let month: String = database
        .value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")
        .await;
    database
        .execute(&format!(
            "DROP TABLE webhook_events_{month}, audit_logs_{month}; \
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$; \
             CREATE TABLE durability (level text UNIQUE); \
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               INSERT INTO durability VALUES (current_setting('synchronous_commit')) ON CONFLICT DO NOTHING; \
               RETURN NULL; END $$; \
             CREATE TRIGGER see AFTER INSERT ON event_identities EXECUTE FUNCTION see()"
        ))
        .await;
}

#[tokio::test]
async fn every_event_is_processed_once_through_a_pooler_from_the_streams_and_the_inbox() {
    let mut redis = RedisServer::start(&[]).await;
    let database = TestDatabase::migrated().await;
    prepare(&database).await;
    let pooler = PgBouncer::before(&database.url, &[]).await;
    let url = pooler.url(&database.url);
    let through = [("postgres.url", url.as_str())];
    let mut pipeline = Pipeline::start_with(database, redis.url(), &through, Tracer::off()).await;
    let workers = [
        pipeline.worker(&through).await,
        pipeline.worker(&through).await,
    ];

    // By way of the streams, of the inbox, and of the streams again; some of each come twice.
    for n in 1..=3 {
        match n {
            2 => redis.kill(),
            3 => redis.resume().await,
            _ => {}
        }
        for at in 0..100 {
            let event = pipeline
                .bodies
                .event(["payment.captured", "order.paid", "refund.processed"][at % 3]);
            pipeline.deliver(&event).await;
            if at % 10 == 0 {
                pipeline.deliver(&event).await;
            }
        }
        pipeline.until_events("processed", 100 * n).await;
    }
    pipeline.until_drained().await;
    // There are more where the ingress saw no answer of Redis in time and used the inbox too.
    until("every duplicate is counted", async || {
        pipeline.sum("duplicates").await >= 30
    })
    .await;
    assert!(
        pipeline
            .count("webhook_events WHERE durability = 'stored'")
            .await
            >= 90
    );
    assert_eq!(pipeline.count("webhook_events").await, 300);
    assert_eq!(pipeline.count("webhook_events WHERE attempts > 1").await, 0);

    let changes = "(SELECT 1 FROM audit_logs WHERE action = 'status_changed' \
         GROUP BY entity_type, entity_id, to_status HAVING count(*) > 1) twice";
    assert_eq!(pipeline.count(changes).await, 0);

    let levels: Vec<String> = pipeline
        .database
        .column("SELECT level FROM durability")
        .await;
    assert_eq!(levels, ["on"]);
    until("the workers have added the partition", async || {
        pipeline.count("webhook_events_default").await == 0
    })
    .await;

    // Replays too, with their leases.
    assert_eq!(pipeline.replay_all().await, 300);
    pipeline.until_events("processed", 300).await;
    assert_eq!(pipeline.length(Lane::Default).await, 0);
    for worker in workers {
        worker.stop().await;
    }
}
