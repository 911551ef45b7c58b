//! Refused starts and their errors.

use std::net::TcpListener;

use harkara_settings::Settings;
use harkara_streams::{Warning, check_server};
use harkara_testkit::{RedisServer, redis_database};

use crate::ingress::{Ingress, WITHOUT_INBOX, assert_refused};
use crate::redis_server::{FSYNC_ALWAYS, FSYNC_EVERY_SECOND, replica_of, url_of_user_without};

/// Asserts that a user without the permission for a command is refused, and that the error names it.
async fn assert_not_permitted(redis: &RedisServer, command: &str, changed: &[(&str, &str)]) {
    let url = url_of_user_without(redis, &format!("-{command}")).await;
    assert_refused(&url, changed, &["Redis(NotPermitted", command]).await;
}

async fn assert_starts(url: &str) {
    Ingress::start_on(url, &[]).await.assert_accepts().await;
}

#[tokio::test]
async fn an_unreachable_or_silent_redis_refuses_the_start_in_time_without_an_inbox() {
    const UNREACHABLE: &str = "Redis(Unreachable";
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let closed = address(&TcpListener::bind("127.0.0.1:0").unwrap());
    let parts = [UNREACHABLE, &closed, "refused", "HARKARA__REDIS__URL"];
    assert_refused(&format!("redis://{closed}"), &[WITHOUT_INBOX], &parts).await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("redis://{}", address(&silent));
    let settings = [WITHOUT_INBOX, ("redis.connect_timeout_ms", "200")];
    assert_refused(&silent, &settings, &[UNREACHABLE]).await;
}

#[tokio::test]
async fn a_wrong_or_missing_password_refuses_the_start_without_showing_it() {
    let redis = RedisServer::start(&["--requirepass", "right"]).await;
    let with = |credentials: &str| format!("redis://{credentials}127.0.0.1:{}", redis.port);
    let shown = assert_refused(&with(":hunter2@"), &[], &["Redis(WrongPassword"]).await;
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_refused(&with(""), &[], &["Redis(PasswordRequired"]).await;
    assert_starts(&with(":right@")).await;
}

#[tokio::test]
async fn an_evicting_redis_or_a_replica_refuses_the_start() {
    for (arguments, parts) in [
        (
            ["--maxmemory-policy", "allkeys-lru"],
            &["Redis(EvictsEntries", "allkeys-lru", "noeviction"][..],
        ),
        (["--replicaof", "127.0.0.1 1"], &["Redis(ReadOnlyReplica"]),
    ] {
        let redis = RedisServer::start(&arguments).await;
        assert_refused(&redis.url(), &[], parts).await;
    }
}

#[tokio::test]
async fn a_user_without_the_permissions_that_are_needed_refuses_the_start() {
    let redis = RedisServer::start(&FSYNC_EVERY_SECOND).await;
    for command in ["info", "xadd"] {
        assert_not_permitted(&redis, command, &[]).await;
    }
    // Transactions are needed only where appends are grouped.
    assert_starts(&url_of_user_without(&redis, "-multi").await).await;
    let grouped = RedisServer::start(&FSYNC_ALWAYS).await;
    for command in ["multi", "exec"] {
        assert_not_permitted(&grouped, command, &[]).await;
    }
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_confirmation_of_a_level_refuses_the_start() {
    let fsyncs = RedisServer::start_with_waitaof(&FSYNC_EVERY_SECOND).await;
    // It answers before the fsync while it rewrites its file, so its answer confirms nothing.
    let on_rewrite = ["--no-appendfsync-on-rewrite", "yes"];
    let loose = RedisServer::start_with_waitaof(&[FSYNC_ALWAYS, on_rewrite].concat()).await;
    let replicated = RedisServer::start(&FSYNC_ALWAYS).await;
    let _replica = replica_of(&replicated).await;
    for (redis, command, level) in [
        (&fsyncs, "waitaof", "fsynced"),
        (&loose, "waitaof", "fsynced"),
        (&replicated, "wait", "replicated"),
    ] {
        assert_not_permitted(redis, command, &[("ingress.durability", level)]).await;
        // Who asks for less needs no such permission.
        assert_starts(&url_of_user_without(redis, &format!("-{command}")).await).await;
    }
}

#[tokio::test]
async fn missing_persistence_and_hidden_configuration_are_notes_and_no_refusal() {
    let redis = RedisServer::start(&["--appendonly", "no"]).await;
    let managed = url_of_user_without(&redis, "-config").await;
    for (url, notes) in [
        (redis.url(), &[Warning::PersistenceOff][..]),
        (managed, &[Warning::PersistenceOff, Warning::ConfigHidden]),
    ] {
        let settings = Settings::from_pairs([("redis.url", url)]).unwrap();
        assert_eq!(check_server(&settings.redis).await.unwrap().warnings, notes);
    }
}

#[tokio::test]
async fn a_taken_port_refuses_the_start_and_names_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (key, parts) in [
        (
            "ingress.bind",
            ["Bind {", &address, "HARKARA__INGRESS__BIND"],
        ),
        (
            "ingress.admin_bind",
            ["Admin(", &address, "HARKARA__INGRESS__ADMIN_BIND"],
        ),
    ] {
        let redis_url = redis_database().await;
        assert_refused(&redis_url, &[(key, &address)], &parts).await;
    }
}
