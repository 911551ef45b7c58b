//! An answer of 200 means the level of durability that was asked for.

use std::time::{Duration, Instant};

use harkara_core::durability::Durability;
use harkara_core::lane::Lane;
use harkara_ingress::StartError;
use harkara_testkit::{RedisServer, wait_until};
use redis::aio::MultiplexedConnection;

use crate::http::get;
use crate::ingress::{Ingress, build};

const BOUND: Duration = Duration::from_secs(15);

pub(crate) async fn replica_of(primary: &RedisServer) -> RedisServer {
    let port = primary.port.to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port]).await;
    let mut connection = primary.connection().await;
    wait_until("the replica is connected", BOUND, async || {
        let told: String = redis::cmd("INFO")
            .arg("replication")
            .query_async(&mut connection)
            .await
            .unwrap();
        told.contains("state=online")
    })
    .await;
    replica
}

#[tokio::test]
async fn a_server_that_confirms_no_fsync_is_refused_unless_less_is_asked_or_it_is_trusted() {
    let redis = RedisServer::start(&["--appendfsync", "no"]).await;
    for (changed, starts) in [
        (("ingress.durability", "fsynced"), false),
        (("ingress.durability", "replicated"), false),
        (("ingress.durability", "appended"), true),
    ] {
        let started = build(&redis.url(), &[changed]).await;
        assert_eq!(started.is_ok(), starts, "{changed:?}");
        if let Err(error) = started {
            assert!(matches!(error, StartError::Level(_)), "{error:?}");
            assert!(error.to_string().contains("appendfsync always"), "{error}");
        }
    }
    let trusted = [
        ("ingress.durability", "fsynced"),
        ("ingress.trust_redis", "true"),
    ];
    assert!(build(&redis.url(), &trusted).await.is_ok());
}

#[tokio::test]
async fn the_level_is_in_the_entry_and_counted() {
    let redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let levels = [
        ("ingress.durability", "fsynced"),
        ("durability.default", "appended"),
    ];
    let ingress = Ingress::start_on(&redis.url(), &levels).await;
    for name in ["payment.captured", "payment.dispute.won"] {
        let body = format!(r#"{{"event":"{name}"}}"#);
        assert_eq!(ingress.deliver(body).await.status, 200);
    }
    for (lane, level) in [
        (Lane::Default, Durability::Appended),
        (Lane::Critical, Durability::Fsynced),
    ] {
        assert_eq!(ingress.entries(lane).await[0].durability, Some(level));
    }
    let metrics = get(ingress.admin, "/metrics").await.body;
    for level in ["appended", "fsynced"] {
        let line = format!("harkara_ingress_durable_total{{level=\"{level}\"}} 1");
        assert!(metrics.contains(&line), "{line} not in\n{metrics}");
    }
    ingress.stop().await;
}

const EVERY_SECOND: [&str; 2] = ["--appendfsync", "everysec"];

const FSYNCED_OR_REFUSED: [(&str, &str); 2] = [
    ("ingress.durability", "fsynced"),
    ("ingress.inbox_connections_max", "0"),
];

/// How many deliveries were answered 200 as fsynced.
async fn n_fsynced(ingress: &Ingress) -> u64 {
    let metrics = get(ingress.admin, "/metrics").await.body;
    metrics
        .lines()
        .find_map(|line| line.strip_prefix("harkara_ingress_durable_total{level=\"fsynced\"} "))
        .map_or(0, |count| count.parse().unwrap())
}

/// Far less than a second, and far more than an answer takes that waits for nothing.
const WAITED_MIN: Duration = Duration::from_millis(500);

#[tokio::test]
async fn where_redis_fsyncs_every_second_the_answer_waits_for_the_fsync() {
    let redis = RedisServer::start_with_waitaof(&EVERY_SECOND).await;
    let ingress = Ingress::start_on(&redis.url(), &FSYNCED_OR_REFUSED).await;
    // The first may meet an fsync that is due.
    assert_eq!(ingress.deliver("{}").await.status, 200);
    for _ in 0..2 {
        let asked_at = Instant::now();
        assert_eq!(ingress.deliver("{}").await.status, 200);
        assert!(asked_at.elapsed() > WAITED_MIN, "{:?}", asked_at.elapsed());
    }
    for entry in ingress.entries(Lane::Default).await {
        assert_eq!(entry.durability, Some(Durability::Fsynced));
    }
    assert_eq!(n_fsynced(&ingress).await, 3);
    ingress.stop().await;
}

/// Deliveries of a steady stream, and the time between two of them.
const STEADY: u32 = 200;
const STEADY_GAP: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_steady_stream_is_accepted_where_every_answer_waits_for_an_fsync() {
    let redis = RedisServer::start_with_waitaof(&EVERY_SECOND).await;
    let ingress = Ingress::start_on(&redis.url(), &FSYNCED_OR_REFUSED).await;
    let first_at = tokio::time::Instant::now();
    let deliveries = (0..STEADY).map(async |n| {
        tokio::time::sleep_until(first_at + STEADY_GAP * n).await;
        let body = format!(r#"{{"event":"order.paid","n":{n}}}"#);
        assert_eq!(ingress.deliver(body).await.status, 200, "delivery {n}");
    });
    futures_util::future::join_all(deliveries).await;
    assert_eq!(n_fsynced(&ingress).await, u64::from(STEADY));
    ingress.stop().await;
}

#[tokio::test]
async fn a_server_that_begins_to_fsync_every_second_is_asked_from_then_on() {
    let redis = RedisServer::start_with_waitaof(&["--appendfsync", "always"]).await;
    let ingress = Ingress::start_on(&redis.url(), &FSYNCED_OR_REFUSED).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    redis.configure("appendfsync", "everysec").await;
    wait_until("the answer waits for the fsync", BOUND, async || {
        let asked_at = Instant::now();
        assert_eq!(ingress.deliver("{}").await.status, 200);
        asked_at.elapsed() > WAITED_MIN
    })
    .await;
    ingress.stop().await;
}

#[tokio::test]
async fn an_fsync_that_does_not_come_is_never_answered_200() {
    let redis = RedisServer::start_with_waitaof(&EVERY_SECOND).await;
    let ingress = Ingress::start_on(&redis.url(), &FSYNCED_OR_REFUSED).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);

    for (setting, worse, sound) in [
        // Appends go on, and their fsyncs are nobody's task any more.
        ("appendfsync", "no", "everysec"),
        ("appendonly", "no", "yes"),
    ] {
        let before = n_fsynced(&ingress).await;
        redis.configure(setting, worse).await;
        for _ in 0..3 {
            assert_eq!(ingress.deliver("{}").await.status, 503, "{setting} {worse}");
        }
        assert_eq!(n_fsynced(&ingress).await, before);
        redis.configure(setting, sound).await;
        wait_until("deliveries are fsynced again", BOUND, async || {
            ingress.deliver("{}").await.status == 200
        })
        .await;
    }

    redis.pause();
    assert_eq!(ingress.deliver("{}").await.status, 503);
    redis.unpause();
    wait_until("deliveries are fsynced again", BOUND, async || {
        ingress.deliver("{}").await.status == 200
    })
    .await;
    ingress.stop().await;
}

#[tokio::test]
async fn what_is_to_be_replicated_is_on_the_replica_when_it_is_answered() {
    let redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let refused = build(&redis.url(), &[("ingress.durability", "replicated")]).await;
    assert!(matches!(refused, Err(StartError::Level(_))));

    let replica = replica_of(&redis).await;
    let levels = [
        ("ingress.durability", "replicated"),
        ("ingress.inbox_connections_max", "0"),
    ];
    let ingress = Ingress::start_on(&redis.url(), &levels).await;
    for n in 0..20 {
        let body = format!(r#"{{"event":"payment.captured","n":{n}}}"#);
        assert_eq!(ingress.deliver(body).await.status, 200);
        let mut connection = replica.connection().await;
        let length: usize = redis::cmd("XLEN")
            .arg(Lane::Default.stream_key(0))
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(length, n + 1);
    }

    // A replica lost at run time is no silent downgrade.
    replica.pause();
    assert_eq!(ingress.deliver("{}").await.status, 503);
    replica.unpause();
    wait_until("deliveries are replicated again", BOUND, async || {
        ingress.deliver("{}").await.status == 200
    })
    .await;
    ingress.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_to_fsync_or_begins_to_evict_is_not_trusted_any_more() {
    let redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let levels = [
        ("ingress.durability", "fsynced"),
        ("ingress.inbox_connections_max", "0"),
    ];
    let ingress = Ingress::start_on(&redis.url(), &levels).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    for (setting, worse, sound) in [
        ("appendfsync", "no", "always"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ] {
        redis.configure(setting, worse).await;
        wait_until("the downgrade is noticed", BOUND, async || {
            ingress.deliver("{}").await.status == 503
        })
        .await;
        redis.configure(setting, sound).await;
        wait_until("deliveries are accepted again", BOUND, async || {
            ingress.deliver("{}").await.status == 200
        })
        .await;
    }
    ingress.stop().await;
}

/// A number in what the server tells of itself, after this text; 0 where it does not tell it.
async fn told(connection: &mut MultiplexedConnection, section: &str, before: &str) -> u64 {
    let info: String = redis::cmd("INFO")
        .arg(section)
        .query_async(connection)
        .await
        .unwrap();
    let number = info.lines().find_map(|line| line.strip_prefix(before));
    number.map_or(0, |n| n.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn looks_at_a_sound_server_share_a_connection() {
    let redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    let mut connection = redis.connection().await;
    let asked = "cmdstat_config|get:calls=";
    let first = told(&mut connection, "commandstats", asked).await;
    let looked = async |connection: &mut MultiplexedConnection, times: u64| {
        wait_until("Redis is looked at", BOUND, async || {
            told(connection, "commandstats", asked).await >= first + times
        })
        .await;
    };
    looked(&mut connection, 1).await;
    let received = "total_connections_received:";
    let before = told(&mut connection, "stats", received).await;
    looked(&mut connection, 4).await;
    assert_eq!(told(&mut connection, "stats", received).await, before);
    ingress.stop().await;
}
