//! Streams that belong to another deployment. (The worker's tests show what becomes of the deliveries.)

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{Proxy, RedisServer, TestDatabase, redis_database, wait_until};
use redis::AsyncCommands;

use crate::BOUND;
use crate::ingress::{Ingress, WITHOUT_INBOX, assert_refused, connect};

const MARK: &str = "harkara:{0}:deployment";
const FOREIGN: &str = "other 1-2-3";
const UNFIT: &str = "harkara_ingress_redis_breaker{state=\"unfit\"}";

async fn set_mark(redis_url: &str, mark: &str) {
    let mut redis = connect(redis_url).await;
    let () = redis.set(MARK, mark).await.unwrap();
}

async fn mark(redis_url: &str) -> Option<String> {
    connect(redis_url).await.get(MARK).await.unwrap()
}

#[tokio::test]
async fn foreign_streams_get_nothing_and_the_inbox_takes_all_until_they_are_adopted() {
    let (redis, database) = (redis_database().await, TestDatabase::migrated().await);
    set_mark(&redis, FOREIGN).await;
    let ingress = Ingress::start_on(&redis, &[("postgres.url", &database.url)]).await;
    ingress.assert_accepts().await;
    ingress.until_metric(UNFIT, |value| value == 1).await;
    let stored: i64 = database.value("SELECT count(*) FROM webhook_events").await;
    assert_eq!(stored, 1);
    assert!(ingress.entries(Lane::Default).await.is_empty());
    let ready = ingress.admin("/readyz").await;
    assert_eq!(ready.status, 200);
    for part in [
        "belong to the deployment other",
        "redis.prefix",
        "harkara adopt",
    ] {
        assert!(ready.body.contains(part), "{}", ready.body);
    }
    let backlog = ingress.admin("/backlog").await;
    assert_eq!(backlog.status, 503, "another's backlog is not shown");

    let id: String = database
        .value("SELECT ledger_id::text FROM harkara_schema")
        .await;
    set_mark(&redis, &format!("harkara {id}")).await;
    ingress.until_metric(UNFIT, |value| value == 0).await;
    let others = ingress.deliver_all(5, |n| format!("{{\"n\":{n}}}")).await;
    assert!(others.iter().all(|answer| answer.status == 200));
    assert_eq!(ingress.entries(Lane::Default).await.len(), 5);
}

#[tokio::test]
async fn without_an_inbox_the_start_is_refused() {
    let redis = redis_database().await;
    set_mark(&redis, FOREIGN).await;
    let parts = ["Foreign", "belong to the deployment other", "redis.prefix"];
    assert_refused(&redis, &[WITHOUT_INBOX], &parts).await;
}

#[tokio::test]
async fn streams_that_become_foreign_get_no_more() {
    let (redis, database) = (redis_database().await, TestDatabase::migrated().await);
    let ingress = Ingress::start_on(&redis, &[("postgres.url", &database.url)]).await;
    ingress.assert_accepts().await;
    assert_eq!(ingress.entries(Lane::Default).await.len(), 1);
    set_mark(&redis, FOREIGN).await;
    ingress.until_metric(UNFIT, |value| value == 1).await;
    ingress.assert_accepts().await;
    assert_eq!(ingress.entries(Lane::Default).await.len(), 1);
}

#[tokio::test]
async fn an_address_that_leads_to_foreign_streams_gives_them_nothing() {
    let (own, other) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    set_mark(&other.url(), FOREIGN).await;
    let database = TestDatabase::migrated().await;
    let proxy = Proxy::to_port(own.port).await;
    let url = format!("redis://{}", proxy.address());
    let ingress = Ingress::start_on(&url, &[("postgres.url", &database.url)]).await;
    ingress.assert_accepts().await;
    proxy.turn_to_port(other.port);
    drop(own);
    let answers = ingress.deliver_all(20, |n| format!("{{\"n\":{n}}}")).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    ingress.until_metric(UNFIT, |value| value == 1).await;
    let stored: i64 = database.value("SELECT count(*) FROM webhook_events").await;
    assert_eq!(stored, 20);
    let entries: u64 = connect(&other.url())
        .await
        .xlen(RedisKeys::default().stream(Lane::Default))
        .await
        .unwrap();
    assert_eq!(entries, 0);
}

#[tokio::test]
async fn the_mark_is_written_as_soon_as_the_ledger_is_known_and_whenever_it_is_gone() {
    let (redis, database) = (redis_database().await, TestDatabase::migrated().await);
    database.shut().await;
    let ingress = Ingress::start_on(&redis, &[("postgres.url", &database.url)]).await;
    ingress.assert_accepts().await;
    assert_eq!(mark(&redis).await, None);
    database.reopen().await;
    for _ in 0..2 {
        let is_there = async || mark(&redis).await.is_some();
        wait_until("the mark is there", BOUND, is_there).await;
        let () = connect(&redis).await.del(MARK).await.unwrap();
    }
}
