//! What the worker demands before it starts, and what it finds then.

use std::time::Duration;

use harkara_core::causes::with_remedy_and_causes;
use harkara_core::lane::Lane;
use harkara_telemetry::Tracer;
use harkara_testkit::{TestDatabase, redis_database, wait_until};
use harkara_worker::App;

use crate::pipeline::{Pipeline, settings};

const BOUND: Duration = Duration::from_secs(20);

async fn refusal(redis: &str, postgres: &str) -> String {
    let error = App::build(&settings(redis, postgres, &[]), &Tracer::off())
        .await
        .err()
        .expect("the worker refuses to start");
    with_remedy_and_causes(&error, error.remedy().as_deref())
}

#[tokio::test]
async fn an_unmigrated_database_is_refused_with_the_remedy() {
    let database = TestDatabase::empty().await;
    let told = refusal(&redis_database().await, &database.url).await;
    assert!(told.contains("run `harkara migrate`"), "{told}");
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_with_the_remedy() {
    let database = TestDatabase::migrated().await;
    database
        .execute("UPDATE harkara_schema SET compatible_from = '20990101000000'")
        .await;
    let told = refusal(&redis_database().await, &database.url).await;
    assert!(told.contains("install a newer version"), "{told}");
}

#[tokio::test]
async fn unreachable_servers_are_named() {
    let database = TestDatabase::migrated().await;
    let told = refusal("redis://127.0.0.1:1", &database.url).await;
    assert!(
        told.contains("Redis at 127.0.0.1:1 cannot be reached"),
        "{told}"
    );
    let told = refusal(
        &redis_database().await,
        "postgres://harkara@127.0.0.1:1/harkara",
    )
    .await;
    assert!(
        told.contains("PostgreSQL cannot be used") && told.contains("refused"),
        "{told}"
    );
}

#[tokio::test]
async fn a_worker_is_seen_before_it_has_anything_to_do() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    wait_until("it is a consumer", BOUND, async || {
        pipeline.consumers(Lane::Critical).await.len() == 1
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn deliveries_from_before_the_first_worker_are_processed() {
    let mut pipeline = Pipeline::start().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 1).await;
    worker.stop().await;
}
