//! While Redis takes no deliveries they are stored in PostgreSQL, answered 200, and processed from there.

use std::time::{Duration, Instant};

use harkara_core::lane::Lane;
use harkara_core::secret::{Fingerprint, Secret};
use harkara_testkit::{RedisServer, wait_until};

use crate::pipeline::{BOUND, Pipeline, SECRET};

/// Razorpay gives up after five seconds; we answer within two, and the machine may be busy.
const ANSWER_BOUND: Duration = Duration::from_secs(4);

const LEVELS: &str = "SELECT count(*) FROM webhook_events WHERE durability = $1";

async fn stored_at(pipeline: &Pipeline, level: &str) -> i64 {
    pipeline.database.value_of(LEVELS, &[&level]).await
}

#[tokio::test]
async fn what_redis_cannot_take_is_stored_answered_200_and_processed() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;

    redis.kill();
    for _ in 0..20 {
        let event = pipeline.bodies.event("payment.captured");
        let asked_at = Instant::now();
        pipeline.deliver(&event).await;
        assert!(asked_at.elapsed() < ANSWER_BOUND);
    }
    pipeline.until_events("processed", 21).await;
    assert_eq!(stored_at(&pipeline, "stored").await, 20);
    assert_eq!(stored_at(&pipeline, "appended").await, 1);
    // By whichever way it came, the row tells the secret.
    let verified_by = "SELECT count(*) FROM webhook_events WHERE secret_fingerprint = $1";
    let fingerprint = Fingerprint::of(&Secret::new(SECRET)).to_string();
    let told: i64 = pipeline
        .database
        .value_of(verified_by, &[&fingerprint])
        .await;
    assert_eq!(told, 21);
    let untouched = "SELECT count(*) FROM webhook_events WHERE attempts = 1 AND duplicates = 0 AND error IS NULL";
    assert_eq!(pipeline.database.value::<i64>(untouched).await, 21);

    redis.resume().await;
    wait_until("Redis takes deliveries again", BOUND, async || {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
        stored_at(&pipeline, "appended").await >= 2
    })
    .await;
    pipeline.until_drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn an_append_whose_confirmation_was_lost_is_one_event_with_one_effect() {
    let redis = RedisServer::start(&[]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    let first = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&first).await;
    // It reads what was sent to it only when it goes on.
    redis.pause();
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    assert_eq!(stored_at(&pipeline, "stored").await, 1);
    redis.unpause();
    wait_until("the append arrives all the same", BOUND, async || {
        pipeline.length(Lane::Default).await == 2
    })
    .await;

    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 2).await;
    pipeline.until_drained().await;
    let counted: i64 = pipeline
        .database
        .value("SELECT sum(duplicates) FROM webhook_events")
        .await;
    assert_eq!(counted, 1);
    let audited: i64 = pipeline
        .database
        .value("SELECT count(*) FROM audit_logs")
        .await;
    assert_eq!(audited, 2);
    worker.stop().await;
}

#[tokio::test]
async fn where_neither_store_takes_it_the_answer_is_503_and_in_time() {
    let redis = RedisServer::start(&[]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    redis.pause();
    pipeline.database.shut().await;
    for _ in 0..3 {
        let event = pipeline.bodies.event("payment.captured");
        let asked_at = Instant::now();
        assert_eq!(pipeline.try_deliver(&event).await, 503);
        assert!(
            asked_at.elapsed() < ANSWER_BOUND,
            "{:?}",
            asked_at.elapsed()
        );
    }
    pipeline.database.reopen().await;
    let event = pipeline.bodies.event("payment.captured");
    wait_until("PostgreSQL takes it", BOUND, async || {
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
    let rows: i64 = pipeline
        .database
        .value("SELECT count(*) * 10 + sum(duplicates) FROM webhook_events WHERE status = 'pending' AND attempts = 0")
        .await;
    assert_eq!(rows, 12);
}

#[tokio::test]
async fn too_many_entries_in_the_lanes_go_to_the_inbox() {
    let mut pipeline = Pipeline::start_with(&[("ingress.entries_max", "5")]).await;
    wait_until("the bound shows", BOUND, async || {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
        stored_at(&pipeline, "stored").await > 0
    })
    .await;
    assert!(pipeline.length(Lane::Default).await >= 5);
    // Once a worker has made room they go to Redis again.
    let worker = pipeline.worker(&[]).await;
    pipeline.until_drained().await;
    wait_until("Redis is used again", BOUND, async || {
        let event = pipeline.bodies.event("payment.captured");
        let before = stored_at(&pipeline, "stored").await;
        pipeline.deliver(&event).await;
        stored_at(&pipeline, "stored").await == before
    })
    .await;
    worker.stop().await;
}
