//! Redis fails while the ingress runs.

use std::time::{Duration, Instant};

use harkara_core::entry::StreamEntry;
use harkara_core::lane::Lane;
use harkara_testkit::RedisServer;

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
    ingress.until_ready(200).await;
}

const KEPT: &str = r#"{"kept":true}"#;
const DOWN: &str = r#""state":"down""#;

/// Delivers [`KEPT`], breaks Redis, so that `/readyz` gives `reason`, and repairs it. Asserts that deliveries
/// are answered 503 until then. Returns the entries.
async fn entries_after(
    breaking: impl AsyncFnOnce(&mut RedisServer),
    reason: &str,
    repairing: impl AsyncFnOnce(&mut RedisServer),
) -> Vec<StreamEntry> {
    let (mut redis, ingress) = Ingress::start_with_redis(&[], &[]).await;
    assert_eq!(ingress.deliver(KEPT).await.status, 200);
    breaking(&mut redis).await;
    for _ in 0..4 {
        assert_unavailable(&ingress).await;
    }
    let ready = ingress.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains(reason), "{}", ready.body);
    assert_eq!(ingress.admin("/livez").await.status, 200);
    repairing(&mut redis).await;
    assert_recovers(&ingress).await;
    ingress.entries(Lane::Default).await
}

#[tokio::test]
async fn deliveries_are_answered_503_while_redis_is_down() {
    let back = async |redis: &mut RedisServer| redis.resume().await;
    let entries = entries_after(async |redis| redis.kill(), DOWN, back).await;
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].body, KEPT.as_bytes());
}

#[tokio::test]
async fn a_redis_that_hangs_is_answered_503_in_time() {
    entries_after(
        async |redis| redis.pause(),
        DOWN,
        async |redis| redis.unpause(),
    )
    .await;
}

#[tokio::test]
async fn a_full_redis_is_answered_503_and_keeps_its_entries() {
    let set_limit = async |redis: &RedisServer, limit| redis.configure("maxmemory", limit).await;
    // The reason is the append that was refused, or the health check that it caused.
    let entries = entries_after(
        async |redis| set_limit(redis, "1").await,
        "memory",
        async |redis| set_limit(redis, "0").await,
    )
    .await;
    assert_eq!(entries[0].body, KEPT.as_bytes());
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_answered_503() {
    let other = RedisServer::start(&[]).await;
    let command = format!("REPLICAOF 127.0.0.1 {}", other.port);
    entries_after(
        async |redis| run(redis, &command).await,
        DOWN,
        async |redis| run(redis, "REPLICAOF NO ONE").await,
    )
    .await;
}

#[tokio::test]
async fn redis_is_used_again_once_it_accepts_connections() {
    for [refuse, take] in [
        ["maxclients 1", "maxclients 100"],
        ["requirepass x", "requirepass "],
    ] {
        let settings = [("ingress.threads", "1")];
        let (redis, ingress) = Ingress::start_with_redis(&[], &settings).await;
        ingress.assert_accepts().await;
        let mut admin = redis.connection().await;
        let () = run_over(&mut admin, &format!("CONFIG SET {refuse}")).await;
        let _: usize = run_over(&mut admin, "CLIENT KILL TYPE normal SKIPME yes").await;
        assert_unavailable(&ingress).await;
        assert_unavailable(&ingress).await;
        let () = run_over(&mut admin, &format!("CONFIG SET {take}")).await;
        assert_recovers(&ingress).await;
    }
}
