//! While a store is unavailable nothing is lost, nothing is blamed, and work resumes by itself.

use std::collections::BTreeSet;

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_storage::migrations::migrate;
use harkara_telemetry::Tracer;
use harkara_testkit::{PostgresServer, RedisServer, TestDatabase, pool_settings, redis_database};
use redis::AsyncCommands;

use crate::pipeline::{Pipeline, until};

const WAITS: &str = "harkara_worker_waits_total";

#[tokio::test]
async fn an_outage_of_the_database_costs_no_attempt() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[("worker.batch_entries_max", "5")]).await;
    pipeline.deliver_payments(1).await;
    pipeline.until_events("processed", 1).await;

    pipeline.database.shut().await;
    pipeline.deliver_payments(30).await;
    // Both batches in flight have tried several times.
    worker.until_counter(WAITS, 6).await;
    let claimed = pipeline.pending(Lane::Default).await;
    assert!(
        (1..=15).contains(&claimed),
        "two batches of at most five are in flight and one was read ahead, not {claimed} entries"
    );

    pipeline.database.reopen().await;
    pipeline.until_processed(31).await;
    let blamed = "webhook_events WHERE attempts > 1 OR error IS NOT NULL OR duplicates > 0";
    assert_eq!(pipeline.count(blamed).await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_missing_privilege_on_a_german_server_makes_no_dead_letter() {
    let server = PostgresServer::german().await;
    migrate(&pool_settings(&server.url())).await.unwrap();
    let admin = TestDatabase::at(server.superuser_url()).await;
    let database = TestDatabase::at(server.url()).await;
    let redis = redis_database().await;
    let mut pipeline = Pipeline::start_with(database, redis, &[], Tracer::off()).await;
    let worker = pipeline.worker(&[("worker.attempts_max", "1")]).await;
    admin
        .execute("REVOKE INSERT ON payment_transactions FROM harkara")
        .await;
    pipeline.deliver_payments(20).await;
    pipeline.until_events("pending", 20).await;
    admin
        .execute("GRANT INSERT ON payment_transactions TO harkara")
        .await;
    pipeline.until_processed(20).await;
    worker.stop().await;
}

#[tokio::test]
async fn reading_resumes_after_a_restart_of_redis() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(1).await;
    pipeline.until_events("processed", 1).await;
    redis.kill();
    redis.resume().await;
    // Until the ingress uses Redis again, deliveries are stored in PostgreSQL; wait for one that was appended.
    until("an event arrives through Redis again", async || {
        pipeline.deliver_payments(1).await;
        let appended = "webhook_events WHERE durability = 'appended'";
        pipeline.count(appended).await >= 2
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_group_that_disappears_is_created_again_from_the_first_entry() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(1).await;
    pipeline.until_events("processed", 1).await;
    let streams = Lane::ALL.map(|lane| RedisKeys::default().stream(lane));
    let () = pipeline.redis().await.del(&streams).await.unwrap();
    pipeline.deliver_payments(1).await;
    pipeline.until_processed(2).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_long_lock_on_a_table_makes_no_dead_letter() {
    let mut pipeline = Pipeline::start().await;
    pipeline.lock("payment_transactions").await;
    let impatient = [
        ("postgres.statement_timeout_ms", "100"),
        ("worker.attempts_max", "1"),
    ];
    let worker = pipeline.worker(&impatient).await;
    pipeline.deliver_payments(3).await;
    pipeline.until_events("pending", 3).await;
    pipeline.unlock().await;
    pipeline.until_events("processed", 3).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_tried_in_halves() {
    let mut pipeline = Pipeline::start().await;
    // Twenty of these rows exceed the bound of a statement, five do not.
    pipeline
        .database
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$; \
             CREATE TRIGGER slow BEFORE INSERT ON payment_transactions FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    pipeline.deliver_payments(20).await;
    let quick = [("postgres.statement_timeout_ms", "500")];
    let worker = pipeline.worker(&quick).await;
    pipeline.until_events("processed", 20).await;
    assert_eq!(pipeline.count("webhook_events WHERE attempts > 1").await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_replay_that_cannot_be_committed_for_long_costs_no_attempt() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(1).await;
    let impatient = [
        ("postgres.statement_timeout_ms", "100"),
        ("worker.attempts_max", "2"),
    ];
    let worker = pipeline.worker(&impatient).await;
    pipeline.until_events("processed", 1).await;
    pipeline.lock("payment_transactions").await;
    assert_eq!(pipeline.replay_all().await, 1);
    // Each lease and release moves the time of the next attempt.
    let mut times = BTreeSet::new();
    until("it was leased several times", async || {
        let time = "SELECT next_attempt_at::text FROM webhook_events";
        times.insert(pipeline.database.value::<Option<String>>(time).await);
        times.len() > 3
    })
    .await;
    pipeline.unlock().await;
    pipeline.until_events("processed", 1).await;
    assert_eq!(pipeline.sum("attempts").await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn due_rows_do_not_wait_for_a_redis_that_acknowledges_nothing() {
    let redis = RedisServer::start(&[]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    let one_batch = [("worker.batches_in_flight_max", "1")];
    let worker = pipeline.worker(&one_batch).await;
    pipeline.deliver_payments(1).await;
    pipeline.until_processed(1).await;

    pipeline.hold_commits().await;
    pipeline.deliver_payments(1).await;
    pipeline.until_pending(Lane::Default, 1).await;
    redis.pause();
    pipeline.unlock().await;
    pipeline.until_events("processed", 2).await;
    for _ in 0..3 {
        assert_eq!(pipeline.replay_all().await, 2);
        pipeline.until_events("processed", 2).await;
    }

    redis.unpause();
    pipeline.until_drained().await;
    let duplicates = pipeline.sum("duplicates").await;
    assert_eq!(duplicates, 0, "it was acknowledged, not delivered again");
    worker.stop().await;
}
