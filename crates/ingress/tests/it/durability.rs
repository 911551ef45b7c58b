//! An answer of 200 means the level of durability that was asked for.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harkara_core::durability::Durability;
use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{RedisServer, wait_until};
use redis::aio::MultiplexedConnection;

use crate::BOUND;
use crate::ingress::{Ingress, WITHOUT_INBOX, assert_refused};
use crate::redis_server::{FSYNC_ALWAYS, FSYNC_EVERY_SECOND, info, replica_of, run};

const FSYNCED: (&str, &str) = ("ingress.durability", "fsynced");
const FSYNCED_OR_REFUSED: [(&str, &str); 2] = [FSYNCED, WITHOUT_INBOX];
const REPLICATED: (&str, &str) = ("ingress.durability", "replicated");

/// Far less than a second, and far more than an answer takes that waits for nothing.
const WAITED_MIN: Duration = Duration::from_millis(500);

const N_FSYNCED: &str = r#"harkara_ingress_durable_total{level="fsynced"}"#;

/// An ingress that waits for fsyncs, and its Redis.
async fn with_waitaof(arguments: &[&str]) -> (RedisServer, Ingress) {
    let redis = RedisServer::start_with_waitaof(arguments).await;
    let ingress = Ingress::start_on(&redis.url(), &FSYNCED_OR_REFUSED).await;
    ingress.assert_accepts().await;
    (redis, ingress)
}

/// How long an accepted delivery took.
async fn accepted_in(ingress: &Ingress) -> Duration {
    let asked_at = Instant::now();
    ingress.assert_accepts().await;
    asked_at.elapsed()
}

/// Changes a setting of Redis for the worse, and back.
async fn while_configured(
    redis: &RedisServer,
    ingress: &Ingress,
    (setting, worse, sound): (&str, &str, &str),
    meanwhile: impl AsyncFnOnce(),
) {
    redis.configure(setting, worse).await;
    meanwhile().await;
    redis.configure(setting, sound).await;
    ingress.until_accepted().await;
}

#[tokio::test]
async fn a_server_that_confirms_no_fsync_is_refused_unless_less_is_asked_or_it_is_trusted() {
    let redis = RedisServer::start(&["--appendfsync", "no"]).await;
    for level in [FSYNCED, REPLICATED] {
        assert_refused(&redis.url(), &[level], &["Level(", "appendfsync always"]).await;
    }
    for changed in [
        &[("ingress.durability", "appended")][..],
        &[FSYNCED, ("ingress.trust_redis", "true")],
    ] {
        Ingress::start_on(&redis.url(), changed).await;
    }
}

#[tokio::test]
async fn the_level_is_in_the_entry_and_counted() {
    let levels = [FSYNCED, ("durability.default", "appended")];
    let (_redis, ingress) = Ingress::start_with_redis(&FSYNC_ALWAYS, &levels).await;
    for (name, lane, level) in [
        ("payment.captured", Lane::Default, Durability::Appended),
        ("payment.dispute.won", Lane::Critical, Durability::Fsynced),
    ] {
        let body = format!(r#"{{"event":"{name}"}}"#);
        assert_eq!(ingress.deliver(body).await.status, 200);
        assert_eq!(ingress.entries(lane).await[0].durability, Some(level));
        let counted = format!("harkara_ingress_durable_total{{level=\"{level}\"}} 1");
        ingress.assert_metrics(&[counted]).await;
    }
}

#[tokio::test]
async fn with_appendfsync_everysec_the_answer_waits_for_the_fsync() {
    const DELIVERIES: u32 = 200;
    const GAP: Duration = Duration::from_millis(20);
    // The first delivery may meet an fsync that is due.
    let (_redis, ingress) = with_waitaof(&FSYNC_EVERY_SECOND).await;
    for _ in 0..2 {
        let took = accepted_in(&ingress).await;
        assert!(took > WAITED_MIN, "{took:?}");
    }
    for entry in ingress.entries(Lane::Default).await {
        assert_eq!(entry.durability, Some(Durability::Fsynced));
    }
    assert_eq!(ingress.metric(N_FSYNCED).await, Some(3));

    // A steady stream is accepted too.
    let first_at = tokio::time::Instant::now();
    let deliveries = (0..DELIVERIES).map(async |n| {
        tokio::time::sleep_until(first_at + GAP * n).await;
        let body = format!(r#"{{"event":"order.paid","n":{n}}}"#);
        assert_eq!(ingress.deliver(body).await.status, 200, "delivery {n}");
    });
    join_all(deliveries).await;
    let n_fsynced = ingress.metric(N_FSYNCED).await;
    assert_eq!(n_fsynced, Some(u64::from(3 + DELIVERIES)));
}

#[tokio::test]
async fn a_server_that_begins_to_fsync_every_second_is_asked_from_then_on() {
    let (redis, ingress) = with_waitaof(&FSYNC_ALWAYS).await;
    redis.configure("appendfsync", "everysec").await;
    wait_until("the answer waits for the fsync", BOUND, async || {
        accepted_in(&ingress).await > WAITED_MIN
    })
    .await;
}

#[tokio::test]
async fn an_fsync_that_does_not_come_is_never_answered_200() {
    let (redis, ingress) = with_waitaof(&FSYNC_EVERY_SECOND).await;
    for change in [
        // Appends go on without their fsyncs.
        ("appendfsync", "no", "everysec"),
        ("appendonly", "no", "yes"),
    ] {
        let before = ingress.metric(N_FSYNCED).await;
        while_configured(&redis, &ingress, change, async || {
            for _ in 0..3 {
                assert_eq!(ingress.deliver("{}").await.status, 503, "{change:?}");
            }
            assert_eq!(ingress.metric(N_FSYNCED).await, before);
        })
        .await;
    }
    redis.pause();
    ingress.assert_status(503).await;
    redis.unpause();
    ingress.until_accepted().await;
}

#[tokio::test]
async fn a_delivery_to_be_replicated_is_on_the_replica_when_it_is_answered() {
    let redis = RedisServer::start(&FSYNC_ALWAYS).await;
    assert_refused(&redis.url(), &[REPLICATED], &["Level("]).await;
    let replica = replica_of(&redis).await;
    let ingress = Ingress::start_on(&redis.url(), &[REPLICATED, WITHOUT_INBOX]).await;
    let length = format!("XLEN {}", RedisKeys::default().stream(Lane::Default));
    for n in 1..=20 {
        ingress.assert_accepts().await;
        assert_eq!(run::<usize>(&replica, &length).await, n);
    }

    // A replica lost at run time is no silent downgrade.
    replica.pause();
    ingress.assert_status(503).await;
    replica.unpause();
    ingress.until_accepted().await;
}

#[tokio::test]
async fn a_server_that_stops_to_fsync_or_begins_to_evict_is_not_trusted_any_more() {
    let (redis, ingress) = Ingress::start_with_redis(&FSYNC_ALWAYS, &FSYNCED_OR_REFUSED).await;
    ingress.assert_accepts().await;
    for change in [
        ("appendfsync", "no", "always"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ] {
        let noticed = async || ingress.until_status(503).await;
        while_configured(&redis, &ingress, change, noticed).await;
    }
}

#[tokio::test]
async fn health_checks_of_a_sound_server_share_a_connection() {
    let (redis, _ingress) = Ingress::start_with_redis(&[], &[]).await;
    let mut connection = redis.connection().await;
    let first = n_checks(&mut connection).await;
    let received = "total_connections_received:";
    let mut before = 0;
    for checks in [1, 5] {
        wait_until("Redis is checked", BOUND, async || {
            n_checks(&mut connection).await >= first + checks
        })
        .await;
        let connections = info(&mut connection, "stats", received).await;
        assert!(checks == 1 || connections == before, "{connections}");
        before = connections;
    }
}

async fn n_checks(connection: &mut MultiplexedConnection) -> u64 {
    info(connection, "commandstats", "cmdstat_config|get:calls=").await
}
