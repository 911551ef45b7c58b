//! While Redis takes no deliveries they are stored in PostgreSQL, answered 200, and processed from there.

use std::time::{Duration, Instant};

use harkara_core::lane::Lane;
use harkara_core::secret::{Fingerprint, Secret};
use harkara_telemetry::Tracer;
use harkara_testkit::{RedisServer, TestDatabase, redis_database};

use crate::pipeline::{Pipeline, SECRET, until};

/// Razorpay gives up after five seconds; we answer within two, and the machine may be busy.
const ANSWER_BOUND: Duration = Duration::from_secs(4);

async fn at_level(pipeline: &Pipeline, level: &str) -> i64 {
    let rows = format!("webhook_events WHERE durability = '{level}'");
    pipeline.count(&rows).await
}

#[tokio::test]
async fn deliveries_that_redis_cannot_take_are_stored_answered_200_and_processed() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(1).await;
    pipeline.until_events("processed", 1).await;

    redis.kill();
    for _ in 0..20 {
        let sent_at = Instant::now();
        pipeline.deliver_payments(1).await;
        assert!(sent_at.elapsed() < ANSWER_BOUND);
    }
    pipeline.until_events("processed", 21).await;
    assert_eq!(at_level(&pipeline, "stored").await, 20);
    assert_eq!(at_level(&pipeline, "appended").await, 1);
    let fingerprint = Fingerprint::of(&Secret::new(SECRET));
    let alike = format!(
        "webhook_events WHERE secret_fingerprint = '{fingerprint}' \
         AND attempts = 1 AND duplicates = 0 AND error IS NULL"
    );
    assert_eq!(pipeline.count(&alike).await, 21);

    redis.resume().await;
    until("Redis takes deliveries again", async || {
        pipeline.deliver_payments(1).await;
        at_level(&pipeline, "appended").await >= 2
    })
    .await;
    pipeline.until_drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn an_append_whose_confirmation_was_lost_is_one_event_with_one_effect() {
    let redis = RedisServer::start(&[]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    pipeline.deliver_payments(1).await;
    // A paused Redis reads the append when it goes on.
    redis.pause();
    pipeline.deliver_payments(1).await;
    assert_eq!(at_level(&pipeline, "stored").await, 1);
    redis.unpause();
    until("the append arrives too", async || {
        pipeline.length(Lane::Default).await == 2
    })
    .await;

    let worker = pipeline.worker(&[]).await;
    pipeline.until_processed(2).await;
    assert_eq!(pipeline.sum("duplicates").await, 1);
    assert_eq!(pipeline.count("audit_logs").await, 2);
    worker.stop().await;
}

#[tokio::test]
async fn if_neither_store_takes_it_the_answer_is_503_and_in_time() {
    let redis = RedisServer::start(&[]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    redis.pause();
    pipeline.database.shut().await;
    let event = pipeline.bodies.event("payment.captured");
    for _ in 0..3 {
        let sent_at = Instant::now();
        assert_eq!(pipeline.try_deliver(&event).await, 503);
        let took = sent_at.elapsed();
        assert!(took < ANSWER_BOUND, "{took:?}");
    }
    pipeline.database.reopen().await;
    until("PostgreSQL takes it", async || {
        pipeline.try_deliver(&event).await == 200
    })
    .await;
    redis.unpause();
}

#[tokio::test]
async fn a_delivery_stored_twice_in_the_inbox_is_one_row_and_one_duplicate() {
    let mut redis = RedisServer::start(&[]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    redis.kill();
    let event = pipeline.bodies.event("payment.captured");
    for _ in 0..3 {
        pipeline.deliver(&event).await;
    }
    let untried = "webhook_events WHERE status = 'pending' AND attempts = 0";
    assert_eq!(pipeline.count(untried).await, 1);
    assert_eq!(pipeline.count("webhook_events").await, 1);
    assert_eq!(pipeline.sum("duplicates").await, 2);
}

#[tokio::test]
async fn too_many_entries_in_the_lanes_go_to_the_inbox() {
    let (database, redis) = (TestDatabase::migrated().await, redis_database().await);
    let bound = [("ingress.entries_max", "5")];
    let mut pipeline = Pipeline::start_with(database, redis, &bound, Tracer::off()).await;
    until("the bound is reached", async || {
        pipeline.deliver_payments(1).await;
        at_level(&pipeline, "stored").await > 0
    })
    .await;
    assert!(pipeline.length(Lane::Default).await >= 5);
    // Once a worker has made room they go to Redis again.
    let worker = pipeline.worker(&[]).await;
    pipeline.until_drained().await;
    until("Redis is used again", async || {
        let before = at_level(&pipeline, "stored").await;
        pipeline.deliver_payments(1).await;
        at_level(&pipeline, "stored").await == before
    })
    .await;
    worker.stop().await;
}
