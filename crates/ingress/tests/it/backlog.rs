//! `/backlog`: the figure that autoscaling reads, which is never 0 because a store is unavailable.

use harkara_testkit::{RedisServer, TestDatabase, wait_until};
use serde_json::Value;

use crate::BOUND;
use crate::ingress::Ingress;

async fn backlog(ingress: &Ingress) -> (u16, Value) {
    let response = ingress.admin("/backlog").await;
    (
        response.status,
        serde_json::from_str(&response.body).unwrap(),
    )
}

async fn until_status(ingress: &Ingress, status: u16) -> Value {
    wait_until(&format!("/backlog answers {status}"), BOUND, async || {
        backlog(ingress).await.0 == status
    })
    .await;
    backlog(ingress).await.1
}

#[tokio::test]
async fn the_backlog_is_known_without_any_worker_and_asking_writes_nothing() {
    let database = TestDatabase::migrated().await;
    let ingress = Ingress::start_with(&[("postgres.url", &database.url)]).await;
    let known = until_status(&ingress, 200).await;
    assert_eq!(known["complete"], true);
    assert_eq!(known["total"]["backlog"], 0);
    assert_eq!(known["lanes"]["critical"]["seconds_to_drain"], 0.0);
    let metrics = ingress.admin("/metrics").await.body;
    let entries = r#"harkara_backlog_entries{lane="default"} 0.0"#;
    assert!(metrics.contains(entries), "{metrics}");
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn an_unavailable_redis_makes_no_backlog_of_zero() {
    let database = TestDatabase::migrated().await;
    let mut redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[("postgres.url", &database.url)]).await;
    ingress.assert_accepts().await;
    wait_until("the delivery is in the backlog", BOUND, async || {
        backlog(&ingress).await.1["total"]["backlog"] == 1
    })
    .await;
    redis.kill();
    let known = until_status(&ingress, 503).await;
    assert_eq!(known["complete"], false);
    assert_eq!(known["total"]["backlog"], 1, "the last that was known");
    assert!(known["faults"]["redis"].is_string(), "{known}");
    redis.resume().await;
    let known = until_status(&ingress, 200).await;
    assert_eq!(known["total"]["backlog"], 1);
    ingress.stop().await;
}
