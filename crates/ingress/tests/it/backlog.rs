//! `/backlog`: the figure that autoscaling reads, which is never 0 because something is away.

use std::time::Duration;

use harkara_testkit::{RedisServer, TestDatabase, wait_until};
use serde_json::Value;

use crate::http::get;
use crate::ingress::Ingress;

const BOUND: Duration = Duration::from_secs(30);

async fn until_status(ingress: &Ingress, status: u16) -> Value {
    wait_until(&format!("/backlog answers {status}"), BOUND, async || {
        get(ingress.admin, "/backlog").await.status == status
    })
    .await;
    serde_json::from_str(&get(ingress.admin, "/backlog").await.body).unwrap()
}

#[tokio::test]
async fn the_backlog_is_told_without_any_worker_and_asking_writes_nothing() {
    let database = TestDatabase::migrated().await;
    let ingress = Ingress::start_with(&[("postgres.url", &database.url)]).await;
    let told = until_status(&ingress, 200).await;
    assert_eq!(told["complete"], true);
    assert_eq!(told["total"]["backlog"], 0);
    assert_eq!(told["lanes"]["critical"]["seconds_to_drain"], 0.0);
    let metrics = get(ingress.admin, "/metrics").await.body;
    let entries = r#"harkara_backlog_entries{lane="default"} 0.0"#;
    assert!(metrics.contains(entries), "{metrics}");
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn a_redis_that_is_away_makes_no_backlog_of_zero() {
    let database = TestDatabase::migrated().await;
    let mut redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[("postgres.url", &database.url)]).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    wait_until("the delivery is in the backlog", BOUND, async || {
        let told: Value = serde_json::from_str(&get(ingress.admin, "/backlog").await.body).unwrap();
        told["total"]["backlog"] == 1
    })
    .await;
    redis.kill();
    let told = until_status(&ingress, 503).await;
    assert_eq!(told["complete"], false);
    assert_eq!(told["total"]["backlog"], 1, "the last that was known");
    assert!(told["faults"]["redis"].is_string(), "{told}");
    redis.resume().await;
    let told = until_status(&ingress, 200).await;
    assert_eq!(told["total"]["backlog"], 1);
    ingress.stop().await;
}
