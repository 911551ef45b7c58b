//! `/backlog`: the figure that autoscaling reads, which is never 0 because a store is unavailable.

use harkara_testkit::{TestDatabase, wait_until};
use serde_json::Value;

use crate::BOUND;
use crate::ingress::Ingress;

/// Waits until the status and JSON of `/backlog` fit, and returns the JSON.
async fn until(ingress: &Ingress, what: &str, fits: impl Fn(u16, &Value) -> bool) -> Value {
    let mut known = Value::Null;
    wait_until(what, BOUND, async || {
        let answer = ingress.admin("/backlog").await;
        known = serde_json::from_str(&answer.body).unwrap();
        fits(answer.status, &known)
    })
    .await;
    known
}

async fn until_complete(ingress: &Ingress) -> Value {
    until(ingress, "the backlog is known", |status, _| status == 200).await
}

#[tokio::test]
async fn the_backlog_is_known_without_any_worker_and_asking_writes_nothing() {
    let database = TestDatabase::migrated().await;
    let ingress = Ingress::start_with(&[("postgres.url", &database.url)]).await;
    let known = until_complete(&ingress).await;
    assert_eq!(known["complete"], true);
    assert_eq!(known["total"]["backlog"], 0);
    assert_eq!(known["lanes"]["critical"]["seconds_to_drain"], 0.0);
    let metrics = ingress.admin("/metrics").await.body;
    let entries = r#"harkara_backlog_entries{lane="default"} 0.0"#;
    assert!(metrics.contains(entries), "{metrics}");
    ingress.assert_nothing_stored().await;
}

#[tokio::test]
async fn an_unavailable_redis_makes_no_backlog_of_zero() {
    let database = TestDatabase::migrated().await;
    let settings = [("postgres.url", &*database.url)];
    let (mut redis, ingress) = Ingress::start_with_redis(&[], &settings).await;
    ingress.assert_accepts().await;
    until(&ingress, "the delivery is counted", |_, known| {
        known["total"]["backlog"] == 1
    })
    .await;
    redis.kill();
    let known = until(&ingress, "Redis is missed", |status, _| status == 503).await;
    assert_eq!(known["complete"], false);
    assert_eq!(known["total"]["backlog"], 1, "the last that was known");
    assert!(known["faults"]["redis"].is_string(), "{known}");
    redis.resume().await;
    let known = until_complete(&ingress).await;
    assert_eq!(known["total"]["backlog"], 1);
}
