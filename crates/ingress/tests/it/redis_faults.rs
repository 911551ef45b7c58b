//! Redis fails while the ingress runs.

use std::time::{Duration, Instant};

use harkara_core::lane::Lane;
use harkara_testkit::{RedisServer, wait_until};

use crate::BOUND;
use crate::ingress::Ingress;
use crate::redis_server::{run, run_over};

/// The response timeout of the tests' settings, and as much again for a busy machine.
const REFUSAL_BOUND: Duration = Duration::from_secs(4);

async fn assert_unavailable(ingress: &Ingress) {
    let asked_at = Instant::now();
    let response = ingress.deliver("{}").await;
    let took = asked_at.elapsed();
    assert!(took < REFUSAL_BOUND, "{took:?}");
    response.assert(503, r#"{"error":"unavailable"}"#);
    assert_eq!(response.headers["retry-after"], "5");
}

async fn assert_recovers(ingress: &Ingress) {
    ingress.until_accepted().await;
    wait_until("the ingress is ready again", BOUND, async || {
        ingress.admin("/readyz").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_gone_is_answered_503_until_it_is_back() {
    let mut redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    ingress.assert_accepts().await;

    redis.kill();
    for _ in 0..4 {
        assert_unavailable(&ingress).await;
    }
    let ready = ingress.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains(r#""state":"down""#), "{}", ready.body);
    assert_eq!(ingress.admin("/livez").await.status, 200);

    redis.resume().await;
    assert_recovers(&ingress).await;
    assert_eq!(ingress.entries(Lane::Default).await.len(), 2);
    ingress.stop().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_answered_503_in_time() {
    let redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    ingress.assert_accepts().await;
    redis.pause();
    assert_unavailable(&ingress).await;
    assert_eq!(ingress.admin("/readyz").await.status, 503);
    redis.unpause();
    assert_recovers(&ingress).await;
    ingress.stop().await;
}

#[tokio::test]
async fn a_full_redis_is_answered_503_and_keeps_its_entries() {
    let redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    let kept = r#"{"kept":true}"#;
    assert_eq!(ingress.deliver(kept).await.status, 200);
    redis.configure("maxmemory", "1").await;
    assert_unavailable(&ingress).await;
    let ready = ingress.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    // The reason is the append that was refused, or the health check that it caused.
    assert!(ready.body.contains("memory"), "{}", ready.body);
    redis.configure("maxmemory", "0").await;
    assert_recovers(&ingress).await;
    assert_eq!(
        ingress.entries(Lane::Default).await[0].body,
        kept.as_bytes()
    );
    ingress.stop().await;
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_answered_503() {
    let (redis, other) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    let () = run(&redis, &format!("REPLICAOF 127.0.0.1 {}", other.port)).await;
    assert_unavailable(&ingress).await;
    assert_eq!(ingress.admin("/readyz").await.status, 503);
    let () = run(&redis, "REPLICAOF NO ONE").await;
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
        ingress.assert_accepts().await;
        let mut admin = redis.connection().await;
        let () = run_over(&mut admin, &format!("CONFIG SET {refuse}")).await;
        let _: usize = run_over(&mut admin, "CLIENT KILL TYPE normal SKIPME yes").await;
        assert_unavailable(&ingress).await;
        assert_unavailable(&ingress).await;
        let () = run_over(&mut admin, &format!("CONFIG SET {take}")).await;
        assert_recovers(&ingress).await;
        ingress.stop().await;
    }
}
