//! What a worker requires at its start, and finds.

use harkara_core::causes::with_remedy_and_causes;
use harkara_core::lane::Lane;
use harkara_telemetry::Tracer;
use harkara_testkit::{TestDatabase, redis_database};
use harkara_worker::App;

use crate::pipeline::{Pipeline, settings, until};

/// Why the worker does not start, as an operator reads it.
pub(crate) async fn refusal(redis: &str, postgres: &str, changed: &[(&str, &str)]) -> String {
    let app = App::build(&settings(redis, postgres, changed), &Tracer::off()).await;
    let error = app.err().expect("the worker refuses to start");
    with_remedy_and_causes(&error, error.remedy().as_deref())
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_with_the_remedy() {
    let (empty, future) = (TestDatabase::empty().await, TestDatabase::migrated().await);
    let compatible = "UPDATE harkara_schema SET compatible_from = '20990101000000'";
    future.execute(compatible).await;
    let redis = redis_database().await;
    for (url, expected) in [
        (empty.url.as_str(), &["run `harkara migrate`"][..]),
        (&future.url, &["install a newer version"]),
        (
            "postgres://harkara@127.0.0.1:1/harkara",
            &["PostgreSQL cannot be used", "refused"],
        ),
    ] {
        let error = refusal(&redis, url, &[]).await;
        for part in expected {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_redis_is_named() {
    let database = TestDatabase::migrated().await;
    let error = refusal("redis://127.0.0.1:1", &database.url, &[]).await;
    assert!(
        error.contains("Redis at 127.0.0.1:1 cannot be reached"),
        "{error}"
    );
}

#[tokio::test]
async fn a_worker_is_a_consumer_before_it_has_anything_to_do() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    until("it is a consumer", async || {
        pipeline.consumers(Lane::Critical).await.len() == 1
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn deliveries_from_before_the_first_worker_are_processed() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(1).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 1).await;
    worker.stop().await;
}
