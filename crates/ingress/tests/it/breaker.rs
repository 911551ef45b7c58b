//! The breaker opens when Redis cannot be relied on, and closes by itself.

use std::time::Duration;

use harkara_core::durability::Durability;
use harkara_core::lane::Lane;
use harkara_testkit::{Proxy, RedisServer, TestDatabase, wait_until};
use redis::Cmd;

use crate::http::get;
use crate::ingress::Ingress;

const BOUND: Duration = Duration::from_secs(20);

const WITHOUT_INBOX: (&str, &str) = ("ingress.inbox_connections_max", "0");

async fn state(ingress: &Ingress) -> String {
    let metrics = get(ingress.admin, "/metrics").await.body;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("harkara_ingress_redis_breaker{") && line.ends_with(" 1"))
        .unwrap_or_else(|| panic!("no state in\n{metrics}"));
    line.split('"').nth(1).unwrap().to_owned()
}

async fn until_state(ingress: &Ingress, wanted: &str) {
    wait_until(wanted, BOUND, async || state(ingress).await == wanted).await;
}

async fn run(redis: &RedisServer, command: &str) {
    let mut words = command.split(' ');
    let mut command = Cmd::new();
    command.arg(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    let mut connection = redis.connection().await;
    command.exec_async(&mut connection).await.unwrap();
}

async fn n_stored(database: &TestDatabase) -> i64 {
    database.value("SELECT count(*) FROM webhook_events").await
}

#[tokio::test]
async fn behind_one_address_the_new_primary_is_found_while_the_old_one_lives_on_as_replica() {
    // Each by itself, and in groups.
    for appendfsync in ["everysec", "always"] {
        let arguments = ["--appendfsync", appendfsync];
        let old = RedisServer::start(&arguments).await;
        let new = RedisServer::start(&arguments).await;
        let address = Proxy::to_port(old.port).await;
        let url = format!("redis://{}", address.address());
        let ingress = Ingress::start_on(&url, &[WITHOUT_INBOX]).await;
        for _ in 0..4 {
            assert_eq!(ingress.deliver("{}").await.status, 200);
        }
        address.turn_to_port(new.port);
        run(&old, &format!("REPLICAOF 127.0.0.1 {}", new.port)).await;
        wait_until("deliveries are accepted again", BOUND, async || {
            ingress.deliver("{}").await.status == 200
        })
        .await;
        until_state(&ingress, "closed").await;
        for _ in 0..20 {
            assert_eq!(ingress.deliver("{}").await.status, 200);
        }
        assert!(ingress.entries(Lane::Default).await.len() > 20);
        assert_eq!(get(ingress.admin, "/readyz").await.status, 200);
        ingress.stop().await;
    }
}

#[tokio::test]
async fn once_redis_is_back_no_server_thread_finds_what_the_outage_left_behind() {
    let mut redis = RedisServer::start(&[]).await;
    let database = TestDatabase::migrated().await;
    let settings = [
        ("postgres.url", database.url.as_str()),
        ("ingress.threads", "4"),
        ("ingress.inbox_timeout_ms", "5000"),
    ];
    let ingress = Ingress::start_on(&redis.url(), &settings).await;
    let deliver_many = async |round: &str| {
        let deliveries = (0..40).map(|n| ingress.deliver(format!("{round} {n}")));
        for response in futures_util::future::join_all(deliveries).await {
            assert_eq!(response.status, 200);
        }
    };
    deliver_many("before").await;
    redis.kill();
    deliver_many("meanwhile").await;
    let stored = n_stored(&database).await;
    assert!(stored > 0);
    // By then the connections of all threads have given up to reconnect.
    wait_until("Redis was looked for in vain", BOUND, async || {
        let ready = get(ingress.admin, "/readyz").await.body;
        ready.contains("cannot be reached")
    })
    .await;
    redis.resume().await;
    until_state(&ingress, "closed").await;
    deliver_many("after").await;
    assert_eq!(n_stored(&database).await, stored);
    assert_eq!(state(&ingress).await, "closed");
    ingress.stop().await;
}

#[tokio::test]
async fn a_redis_that_cannot_be_looked_at_any_more_is_given_nothing() {
    let redis = RedisServer::start(&[]).await;
    run(&redis, "ACL SETUSER ingress on >pass ~* +@all").await;
    let url = format!("redis://ingress:pass@127.0.0.1:{}", redis.port);
    let ingress = Ingress::start_on(&url, &[]).await;
    run(&redis, "ACL SETUSER ingress -info").await;
    until_state(&ingress, "failing").await;
    // The append would work, and nobody knows any more how durable it would be.
    assert_eq!(ingress.deliver("{}").await.status, 503);
    run(&redis, "ACL SETUSER ingress +info").await;
    until_state(&ingress, "closed").await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    ingress.stop().await;
}

/// The breaker would be closed by the watch alone only after its wait of up to two seconds.
#[tokio::test]
async fn where_postgres_is_away_too_redis_is_used_as_soon_as_it_is_back() {
    let mut redis = RedisServer::start(&[]).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    for _ in 0..5 {
        redis.kill();
        assert_eq!(ingress.deliver("{}").await.status, 503);
        redis.resume().await;
        assert_eq!(ingress.deliver("{}").await.status, 200);
    }
    ingress.stop().await;
}

#[tokio::test]
async fn what_was_full_is_used_again_only_when_there_is_some_room() {
    let redis = RedisServer::start(&[]).await;
    let settings = [WITHOUT_INBOX, ("ingress.entries_max", "20")];
    let ingress = Ingress::start_on(&redis.url(), &settings).await;
    for _ in 0..20 {
        assert_eq!(ingress.deliver("{}").await.status, 200);
    }
    until_state(&ingress, "unfit").await;
    assert_eq!(ingress.deliver("{}").await.status, 503);
    let trim = format!("XTRIM {} MAXLEN", Lane::Default.stream_key(0));
    run(&redis, &format!("{trim} 19")).await;
    wait_until("it is looked at again", BOUND, async || {
        let ready = get(ingress.admin, "/readyz").await.body;
        ready.contains("19 entries")
    })
    .await;
    assert_eq!(ingress.deliver("{}").await.status, 503);
    run(&redis, &format!("{trim} 18")).await;
    until_state(&ingress, "closed").await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn an_ingress_with_an_inbox_starts_while_redis_is_away_and_uses_it_when_it_comes() {
    let mut redis = RedisServer::start(&["--appendfsync", "no"]).await;
    redis.kill();
    let database = TestDatabase::migrated().await;
    let settings = [
        ("postgres.url", database.url.as_str()),
        ("ingress.durability", "fsynced"),
        ("ingress.inbox_timeout_ms", "5000"),
    ];
    let ingress = Ingress::start_on(&redis.url(), &settings).await;
    assert_eq!(state(&ingress).await, "failing");
    assert_eq!(get(ingress.admin, "/readyz").await.status, 200);
    assert_eq!(ingress.deliver("1").await.status, 200);
    assert_eq!(n_stored(&database).await, 1);

    // A server that cannot give the level is not used, and readiness tells the remedy.
    redis.resume().await;
    until_state(&ingress, "unfit").await;
    let ready = get(ingress.admin, "/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains("appendfsync always"), "{}", ready.body);
    assert_eq!(ingress.deliver("2").await.status, 200);
    assert_eq!(n_stored(&database).await, 2);

    redis.configure("appendfsync", "always").await;
    until_state(&ingress, "closed").await;
    assert_eq!(ingress.deliver("3").await.status, 200);
    assert_eq!(n_stored(&database).await, 2);
    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries[0].durability, Some(Durability::Fsynced));
    ingress.stop().await;
}

#[tokio::test]
async fn a_replica_that_hangs_is_not_counted() {
    let redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let replica = crate::durability::replica_of(&redis).await;
    let settings = [WITHOUT_INBOX, ("ingress.durability", "replicated")];
    let ingress = Ingress::start_on(&redis.url(), &settings).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    // Nobody delivers: the look finds it.
    replica.pause();
    until_state(&ingress, "unfit").await;
    replica.unpause();
    until_state(&ingress, "closed").await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    ingress.stop().await;
}
