//! Another Redis takes over the name of the one that was used.

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{Proxy, RedisServer};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, cmd};

use crate::pipeline::{Pipeline, consumers, until};

/// Appends an entry that becomes a dead letter, for no ingress wrote it.
async fn append(redis: &mut MultiplexedConnection, value: &str) {
    let key = RedisKeys::default().stream(Lane::Normal);
    let () = redis.xadd(key, "*", &[("body", value)]).await.unwrap();
}

/// Makes a server a replica of another, or a primary.
async fn replica_of(server: &RedisServer, primary: Option<&RedisServer>) {
    let port = primary.map(|primary| primary.port.to_string());
    let primary = match &port {
        Some(port) => ["127.0.0.1", port],
        None => ["NO", "ONE"],
    };
    let () = cmd("REPLICAOF")
        .arg(&primary)
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_worker_follows_a_name_whose_former_primary_lives_on_as_a_replica() {
    let (former, promoted) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    let address = Proxy::to_port(former.port).await;
    let pipeline = Pipeline::start_on(format!("redis://{}", address.address())).await;
    let worker = pipeline.worker(&[]).await;
    append(&mut former.connection().await, "first").await;
    pipeline.until_events("failed", 1).await;
    pipeline.until_drained().await;

    // Connections to the former primary stay open, and are answered.
    replica_of(&former, Some(&promoted)).await;
    address.turn_to_port(promoted.port);
    let mut redis = promoted.connection().await;
    append(&mut redis, "second").await;
    pipeline.until_events("failed", 2).await;
    pipeline.until_drained().await;

    worker.stop().await;
    let consumers = consumers(&mut redis, Lane::Normal).await;
    assert_eq!(consumers, [] as [&str; 0], "it left the group there");
}

#[tokio::test]
async fn connections_that_were_pooled_before_a_demotion_are_not_used_again() {
    let (former, promoted) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    let address = Proxy::to_port(former.port).await;
    let pipeline = Pipeline::start_on(format!("redis://{}", address.address())).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.hold_commits().await;
    append(&mut former.connection().await, "first").await;
    pipeline.until_pending(Lane::Normal, 1).await;
    // The replica has all of it, then the two swap roles while a commit is in progress.
    replica_of(&promoted, Some(&former)).await;
    until("the replica is in sync", async || {
        let mut redis = promoted.connection().await;
        let info = cmd("INFO").arg("replication").query_async(&mut redis).await;
        info.is_ok_and(|info: String| info.contains("master_link_status:up"))
    })
    .await;
    replica_of(&promoted, None).await;
    replica_of(&former, Some(&promoted)).await;
    address.turn_to_port(promoted.port);
    pipeline.unlock().await;
    pipeline.until_events("failed", 1).await;
    pipeline.until_drained().await;
    worker.stop().await;
    let duplicates = pipeline.sum("duplicates").await;
    assert_eq!(duplicates, 0, "it was acknowledged, not delivered again");
}
