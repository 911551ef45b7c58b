//! Another Redis takes over the name of the one that was used.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_testkit::{Proxy, RedisServer, wait_until};
use redis::aio::MultiplexedConnection;
use redis::cmd;

use crate::pipeline::{BOUND, Pipeline};

/// Appends an entry that becomes a dead letter, for no ingress wrote it.
async fn append(redis: &mut MultiplexedConnection, value: &str) {
    let () = cmd("XADD")
        .arg(&[&Lane::Normal.stream_key(0), "*", "body", value])
        .query_async(redis)
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
    let () = cmd("REPLICAOF")
        .arg(&["127.0.0.1", &promoted.port.to_string()])
        .query_async(&mut former.connection().await)
        .await
        .unwrap();
    address.turn_to_port(promoted.port);
    let mut redis = promoted.connection().await;
    append(&mut redis, "second").await;
    pipeline.until_events("failed", 2).await;
    pipeline.until_drained().await;

    worker.stop().await;
    let told: redis::streams::StreamInfoConsumersReply = cmd("XINFO")
        .arg(&["CONSUMERS", &Lane::Normal.stream_key(0), CONSUMER_GROUP])
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(told.consumers.is_empty(), "it left the group there");
}

#[tokio::test]
async fn connections_that_were_pooled_before_a_demotion_are_not_used_again() {
    let (former, promoted) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    let address = Proxy::to_port(former.port).await;
    let pipeline = Pipeline::start_on(format!("redis://{}", address.address())).await;
    let worker = pipeline.worker(&[]).await;
    let mut redis = former.connection().await;
    pipeline.hold_commits().await;
    append(&mut redis, "first").await;
    wait_until("the entry is claimed", BOUND, async || {
        pipeline.pending(Lane::Normal).await == 1
    })
    .await;
    // The replica has all of it, then the two change their parts, while a commit is under way.
    replicate(&promoted, &former).await;
    let () = cmd("REPLICAOF")
        .arg(&["NO", "ONE"])
        .query_async(&mut promoted.connection().await)
        .await
        .unwrap();
    let () = cmd("REPLICAOF")
        .arg(&["127.0.0.1", &promoted.port.to_string()])
        .query_async(&mut redis)
        .await
        .unwrap();
    address.turn_to_port(promoted.port);
    pipeline.release_commits().await;
    pipeline.until_events("failed", 1).await;
    pipeline.until_drained().await;
    worker.stop().await;
    let duplicates: i32 = pipeline
        .database
        .value("SELECT duplicates FROM webhook_events")
        .await;
    assert_eq!(duplicates, 0, "it was acknowledged, not delivered again");
}

/// Makes a server a replica, and waits until it has what its primary has.
async fn replicate(replica: &RedisServer, primary: &RedisServer) {
    let mut redis = replica.connection().await;
    let () = cmd("REPLICAOF")
        .arg(&["127.0.0.1", &primary.port.to_string()])
        .query_async(&mut redis)
        .await
        .unwrap();
    wait_until("the replica is in step", BOUND, async || {
        let info: String = cmd("INFO")
            .arg("replication")
            .query_async(&mut redis)
            .await
            .unwrap_or_default();
        info.contains("master_link_status:up")
    })
    .await;
}
