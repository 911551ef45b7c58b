//! Redis fails while the ingress runs.

use std::time::{Duration, Instant};

use harkara_core::lane::Lane;
use harkara_testkit::{RedisServer, wait_until};
use redis::aio::MultiplexedConnection;

use crate::http::get;
use crate::ingress::Ingress;

const RECOVERY_BOUND: Duration = Duration::from_secs(15);

/// The response timeout of the tests' settings, and as much again for a busy machine.
const REFUSAL_BOUND: Duration = Duration::from_secs(4);

async fn assert_unavailable(ingress: &Ingress) {
    let asked_at = Instant::now();
    let response = ingress.deliver("{}").await;
    assert!(
        asked_at.elapsed() < REFUSAL_BOUND,
        "{:?}",
        asked_at.elapsed()
    );
    assert_eq!(
        (response.status, response.body.as_str()),
        (503, r#"{"error":"unavailable"}"#)
    );
    assert_eq!(response.headers["retry-after"], "5");
}

async fn assert_recovers(ingress: &Ingress) {
    wait_until(
        "deliveries are accepted again",
        RECOVERY_BOUND,
        async || ingress.deliver("{}").await.status == 200,
    )
    .await;
    wait_until("the ingress is ready again", RECOVERY_BOUND, async || {
        get(ingress.admin, "/readyz").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn redis_gone_is_answered_503_until_it_is_back() {
    let mut redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);

    redis.kill();
    for _ in 0..4 {
        assert_unavailable(&ingress).await;
    }
    let ready = get(ingress.admin, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains(r#""state":"down""#), "{}", ready.body);
    assert_eq!(get(ingress.admin, "/livez").await.status, 200);

    redis.resume().await;
    assert_recovers(&ingress).await;
    assert_eq!(ingress.entries(Lane::Default).await.len(), 2);
    ingress.stop().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_answered_503_in_time() {
    let redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    redis.pause();
    assert_unavailable(&ingress).await;
    assert_eq!(get(ingress.admin, "/readyz").await.status, 503);
    redis.unpause();
    assert_recovers(&ingress).await;
    ingress.stop().await;
}

#[tokio::test]
async fn a_full_redis_is_answered_503_and_keeps_what_it_has() {
    let redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    assert_eq!(ingress.deliver(r#"{"kept":true}"#).await.status, 200);
    redis.configure("maxmemory", "1").await;
    assert_unavailable(&ingress).await;
    let ready = get(ingress.admin, "/readyz").await;
    assert_eq!(ready.status, 503);
    // Whoever was first to tell: the append that was refused, or the look that it caused.
    assert!(ready.body.contains("memory"), "{}", ready.body);
    redis.configure("maxmemory", "0").await;
    assert_recovers(&ingress).await;
    assert_eq!(
        ingress.entries(Lane::Default).await[0].body,
        &br#"{"kept":true}"#[..]
    );
    ingress.stop().await;
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_answered_503() {
    let (redis, other) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    let mut connection = redis.connection().await;
    let port = other.port.to_string();
    let mut replicaof = redis::cmd("REPLICAOF");
    replicaof
        .arg(&["127.0.0.1", &port])
        .exec_async(&mut connection)
        .await
        .unwrap();
    assert_unavailable(&ingress).await;
    assert_eq!(get(ingress.admin, "/readyz").await.status, 503);
    redis::cmd("REPLICAOF")
        .arg(&["NO", "ONE"])
        .exec_async(&mut connection)
        .await
        .unwrap();
    assert_recovers(&ingress).await;
    ingress.stop().await;
}

#[tokio::test]
async fn a_redis_that_turned_connections_away_is_used_again_when_it_takes_them() {
    for [refuse, take] in [
        ["maxclients 1", "maxclients 100"],
        ["requirepass x", "requirepass "],
    ] {
        let redis = RedisServer::start(&[]).await;
        let ingress = Ingress::start_on(&redis.url(), &[("ingress.threads", "1")]).await;
        assert_eq!(ingress.deliver("{}").await.status, 200);
        let mut admin = redis.connection().await;
        run(&mut admin, &format!("CONFIG SET {refuse}")).await;
        run(&mut admin, "CLIENT KILL TYPE normal SKIPME yes").await;
        assert_unavailable(&ingress).await;
        assert_unavailable(&ingress).await;
        run(&mut admin, &format!("CONFIG SET {take}")).await;
        assert_recovers(&ingress).await;
        ingress.stop().await;
    }
}

async fn run(connection: &mut MultiplexedConnection, command: &str) {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command
        .arg(words.collect::<Vec<_>>())
        .exec_async(connection)
        .await
        .unwrap();
}
