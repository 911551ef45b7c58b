//! The address of the primary is asked of Redis Sentinel.

use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{RedisServer, Sentinels, wait_until};

use crate::BOUND;
use crate::ingress::{Ingress, WITHOUT_INBOX, assert_refused};
use crate::redis_server::{FSYNC_ALWAYS, run_over};

/// Sentinels check every ten seconds whether a former primary is back, and what has not changed for eight.
const FOLLOWS_BOUND: Duration = Duration::from_mins(1);

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

const URL: &str = "redis://127.0.0.1:1";

/// Entries that the primary has.
async fn n_entries(sentinels: &Sentinels) -> usize {
    let mut primary = sentinels.primary().await.unwrap();
    let length = format!("XLEN {}", RedisKeys::default().stream(Lane::Default));
    run_over(&mut primary, &length).await
}

#[tokio::test]
async fn another_primary_is_followed_and_has_what_was_accepted() {
    let mut former = RedisServer::start(&FSYNC_ALWAYS).await;
    let sentinels = Sentinels::over(&former, 2, &FSYNC_ALWAYS).await;
    let addresses = format!("{NOBODY},{}", sentinels.addresses());
    let settings = [
        ("redis.sentinels", addresses.as_str()),
        ("ingress.durability", "replicated"),
        ("ingress.replicas_min", "2"),
    ];
    let ingress = Ingress::start_on(URL, &settings).await;
    for _ in 0..10 {
        ingress.assert_accepts().await;
    }

    former.kill();
    sentinels.failed_over(&former, BOUND).await;
    assert_eq!(n_entries(&sentinels).await, 10);
    // Two replicas are asked for, and one is left.
    ingress.assert_status(503).await;

    former.resume().await;
    wait_until("the former primary follows", FOLLOWS_BOUND, async || {
        sentinels.n_following().await == 2
    })
    .await;
    ingress.until_accepted().await;
    assert!(n_entries(&sentinels).await > 10);
}

#[tokio::test]
async fn a_former_primary_that_lives_on_is_left() {
    let former = RedisServer::start(&[]).await;
    let sentinels = Sentinels::over(&former, 1, &[]).await;
    let addresses = sentinels.addresses();
    let ingress = Ingress::start_on(URL, &[("redis.sentinels", addresses.as_str())]).await;
    ingress.assert_accepts().await;

    sentinels.fail_over().await;
    sentinels.failed_over(&former, BOUND).await;
    ingress.until_accepted().await;
    assert_eq!(n_entries(&sentinels).await, 2);
}

#[tokio::test]
async fn a_primary_that_no_sentinel_knows_refuses_the_start() {
    let redis = RedisServer::start(&[]).await;
    let sentinels = Sentinels::over(&redis, 0, &[]).await;
    for (addresses, name, expected) in [
        (
            sentinels.addresses(),
            "orders",
            "knows no primary by the name orders (redis.sentinel_primary)",
        ),
        (
            NOBODY.to_owned(),
            "mymaster",
            "no sentinel knows the primary",
        ),
    ] {
        let settings = [
            ("redis.sentinels", addresses.as_str()),
            ("redis.sentinel_primary", name),
            WITHOUT_INBOX,
        ];
        let who = format!("the primary {name} of the sentinels 127.0.0.1:");
        assert_refused(URL, &settings, &["Redis(", expected, &who]).await;
    }
}
