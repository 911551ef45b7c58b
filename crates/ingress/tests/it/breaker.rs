//! The breaker opens when Redis cannot be relied on, and closes by itself.

use harkara_core::durability::Durability;
use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{Proxy, RedisServer, TestDatabase, wait_until};

use crate::BOUND;
use crate::ingress::{Ingress, WITHOUT_INBOX};
use crate::redis_server::{FSYNC_ALWAYS, FSYNC_EVERY_SECOND, info, replica_of, run};

const CLOSED: &str = "closed";
const FAILING: &str = "failing";
const UNFIT: &str = "unfit";

fn gauge(state: &str) -> String {
    format!("harkara_ingress_redis_breaker{{state=\"{state}\"}}")
}

async fn is_in(ingress: &Ingress, state: &str) -> bool {
    ingress.metric(&gauge(state)).await == Some(1)
}

async fn until_in(ingress: &Ingress, state: &str) {
    ingress
        .until_metric(&gauge(state), |is_in| is_in == 1)
        .await;
}

/// Asserts that no delivery is accepted while the breaker is in `state`, until Redis is repaired.
async fn assert_opens(ingress: &Ingress, state: &str, repairing: impl AsyncFnOnce()) {
    until_in(ingress, state).await;
    ingress.assert_status(503).await;
    repairing().await;
    until_in(ingress, CLOSED).await;
    ingress.assert_accepts().await;
}

async fn until_readiness_says(ingress: &Ingress, reason: &str) {
    wait_until(reason, BOUND, async || {
        ingress.admin("/readyz").await.body.contains(reason)
    })
    .await;
}

async fn n_stored(database: &TestDatabase) -> i64 {
    database.value("SELECT count(*) FROM webhook_events").await
}

#[tokio::test]
async fn behind_one_address_the_new_primary_is_found_while_the_old_one_lives_on_as_replica() {
    // Pipelined, and in groups.
    for arguments in [FSYNC_EVERY_SECOND, FSYNC_ALWAYS] {
        let old = RedisServer::start(&arguments).await;
        let new = RedisServer::start(&arguments).await;
        let address = Proxy::to_port(old.port).await;
        let url = format!("redis://{}", address.address());
        let ingress = Ingress::start_on(&url, &[WITHOUT_INBOX]).await;
        for _ in 0..4 {
            ingress.assert_accepts().await;
        }
        address.turn_to_port(new.port);
        let () = run(&old, &format!("REPLICAOF 127.0.0.1 {}", new.port)).await;
        ingress.until_accepted().await;
        until_in(&ingress, CLOSED).await;
        for _ in 0..20 {
            ingress.assert_accepts().await;
        }
        assert!(ingress.entries(Lane::Default).await.len() > 20);
        assert_eq!(ingress.admin("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn once_redis_is_back_no_server_thread_finds_what_the_outage_left_behind() {
    let database = TestDatabase::migrated().await;
    let settings = [
        ("postgres.url", database.url.as_str()),
        ("ingress.threads", "4"),
        ("ingress.inbox_timeout_ms", "5000"),
    ];
    let (mut redis, ingress) = Ingress::start_with_redis(&[], &settings).await;
    let deliver_many = async |round: &str| {
        for response in ingress.deliver_all(40, |n| format!("{round} {n}")).await {
            assert_eq!(response.status, 200);
        }
    };
    deliver_many("before").await;
    redis.kill();
    deliver_many("during").await;
    let stored = n_stored(&database).await;
    assert!(stored > 0);
    // By then the connections of all threads have given up to reconnect.
    until_readiness_says(&ingress, "cannot be reached").await;
    redis.resume().await;
    until_in(&ingress, CLOSED).await;
    deliver_many("after").await;
    assert_eq!(n_stored(&database).await, stored);
    assert!(is_in(&ingress, CLOSED).await);
}

#[tokio::test]
async fn a_redis_that_cannot_be_checked_gets_no_deliveries() {
    let redis = RedisServer::start(&[]).await;
    let user = "ACL SETUSER ingress";
    let () = run(&redis, &format!("{user} on >pass ~* +@all")).await;
    let url = format!("redis://ingress:pass@127.0.0.1:{}", redis.port);
    let ingress = Ingress::start_on(&url, &[]).await;
    let () = run(&redis, &format!("{user} -info")).await;
    // An append would succeed, but its durability is unknown.
    assert_opens(&ingress, FAILING, async || {
        let () = run(&redis, &format!("{user} +info")).await;
    })
    .await;
}

/// The health check alone would close the breaker only after its wait of up to two seconds.
#[tokio::test]
async fn if_postgres_is_down_too_redis_is_used_as_soon_as_it_returns() {
    let (mut redis, ingress) = Ingress::start_with_redis(&[], &[]).await;
    ingress.assert_accepts().await;
    for _ in 0..5 {
        redis.kill();
        ingress.assert_status(503).await;
        redis.resume().await;
        ingress.assert_accepts().await;
    }
}

#[tokio::test]
async fn a_redis_that_was_full_is_used_again_only_when_there_is_some_room() {
    let settings = [WITHOUT_INBOX, ("ingress.entries_max", "20")];
    let (redis, ingress) = Ingress::start_with_redis(&[], &settings).await;
    for _ in 0..20 {
        ingress.assert_accepts().await;
    }
    let trim = format!(
        "XTRIM {} MAXLEN",
        RedisKeys::default().stream(Lane::Default)
    );
    assert_opens(&ingress, UNFIT, async || {
        let () = run(&redis, &format!("{trim} 19")).await;
        until_readiness_says(&ingress, "19 entries").await;
        ingress.assert_status(503).await;
        let () = run(&redis, &format!("{trim} 18")).await;
    })
    .await;
}

#[tokio::test]
async fn a_nearly_full_redis_gets_no_deliveries() {
    let (redis, ingress) = Ingress::start_with_redis(&[], &[WITHOUT_INBOX]).await;
    ingress.assert_accepts().await;
    let used = info(&mut redis.connection().await, "memory", "used_memory:").await;
    let nearly_full = (used * 100 / 95).to_string();
    redis.configure("maxmemory", &nearly_full).await;
    assert_opens(&ingress, UNFIT, async || {
        until_readiness_says(&ingress, "% of the memory of Redis is in use").await;
        redis.configure("maxmemory", "0").await;
    })
    .await;
}

#[tokio::test]
async fn an_ingress_with_an_inbox_starts_without_redis_and_uses_it_when_it_comes() {
    let mut redis = RedisServer::start(&["--appendfsync", "no"]).await;
    redis.kill();
    let database = TestDatabase::migrated().await;
    let settings = [
        ("postgres.url", database.url.as_str()),
        ("ingress.durability", "fsynced"),
        ("ingress.inbox_timeout_ms", "5000"),
    ];
    let ingress = Ingress::start_on(&redis.url(), &settings).await;
    assert!(is_in(&ingress, FAILING).await);
    assert_eq!(ingress.admin("/readyz").await.status, 200);
    assert_eq!(ingress.deliver("1").await.status, 200);
    assert_eq!(n_stored(&database).await, 1);

    // A server that cannot give the level is not used, and readiness says the remedy.
    redis.resume().await;
    until_in(&ingress, UNFIT).await;
    let ready = ingress.admin("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains("appendfsync always"), "{}", ready.body);
    assert_eq!(ingress.deliver("2").await.status, 200);
    assert_eq!(n_stored(&database).await, 2);

    redis.configure("appendfsync", "always").await;
    until_in(&ingress, CLOSED).await;
    assert_eq!(ingress.deliver("3").await.status, 200);
    assert_eq!(n_stored(&database).await, 2);
    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries[0].durability, Some(Durability::Fsynced));
}

#[tokio::test]
async fn a_replica_that_hangs_is_not_counted() {
    let redis = RedisServer::start(&FSYNC_ALWAYS).await;
    let replica = replica_of(&redis).await;
    let settings = [WITHOUT_INBOX, ("ingress.durability", "replicated")];
    let ingress = Ingress::start_on(&redis.url(), &settings).await;
    ingress.assert_accepts().await;
    // Nobody delivers: the health check finds it.
    replica.pause();
    assert_opens(&ingress, UNFIT, async || replica.unpause()).await;
}
