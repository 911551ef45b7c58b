//! Refused starts and their errors.

use std::net::TcpListener;

use harkara_core::causes::with_remedy_and_causes;
use harkara_ingress::StartError;
use harkara_settings::Settings;
use harkara_streams::{ServerProblem, Warning, check_server};
use harkara_testkit::{RedisServer, redis_database};

use crate::ingress::{Ingress, UNSET, WITHOUT_INBOX, build};
use crate::redis_server::{FSYNC_ALWAYS, FSYNC_EVERY_SECOND, replica_of, url_of_user_without};

use ServerProblem::{
    EvictsEntries, NotPermitted, PasswordRequired, ReadOnlyReplica, Unreachable, WrongPassword,
};

/// Asserts that the start is refused with an error of this kind, whose text holds these parts. Returns all
/// that it shows.
async fn assert_refused(
    redis_url: &str,
    changed: &[(&str, &str)],
    is_expected: impl FnOnce(&StartError) -> bool,
    parts: &[&str],
) -> String {
    let started = build(redis_url, changed).await;
    let error = started.err().expect("the ingress refuses to start");
    let text = with_remedy_and_causes(&error, error.remedy().as_deref());
    assert!(is_expected(&error), "{error:?}");
    for part in parts {
        assert!(text.contains(part), "{part} not in {text}");
    }
    format!("{text} {error:?}")
}

/// Asserts that a user without the permission for a command is refused, and that the error names it.
async fn assert_not_permitted(redis: &RedisServer, command: &str, changed: &[(&str, &str)]) {
    let url = url_of_user_without(redis, &format!("-{command}")).await;
    let not_permitted = |error: &_| matches!(error, StartError::Redis(NotPermitted { .. }));
    assert_refused(&url, changed, not_permitted, &[command]).await;
}

async fn assert_starts(url: &str) {
    let ingress = Ingress::start_on(url, &[]).await;
    ingress.assert_accepts().await;
    ingress.stop().await;
}

#[tokio::test]
async fn port_0_takes_free_ports() {
    let (one, other) = (Ingress::start().await, Ingress::start().await);
    let ports = [one.public, one.admin, other.public, other.admin].map(|a| a.port());
    assert!(ports.iter().all(|port| *port != 0));
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn no_endpoint_refuses_the_start_with_the_remedy() {
    assert_refused(
        "redis://127.0.0.1:1",
        &[("endpoints.default.secrets", UNSET)],
        |error| matches!(error, StartError::NoEndpoints),
        &["HARKARA__ENDPOINTS__DEFAULT__SECRETS"],
    )
    .await;
}

#[tokio::test]
async fn an_unreachable_or_silent_redis_refuses_the_start_in_time_without_an_inbox() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let closed = closed.unwrap().to_string();
    assert_refused(
        &format!("redis://{closed}"),
        &[WITHOUT_INBOX],
        |error| matches!(error, StartError::Redis(Unreachable { .. })),
        &[&closed, "refused", "HARKARA__REDIS__URL"],
    )
    .await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_refused(
        &format!("redis://{}", silent.local_addr().unwrap()),
        &[WITHOUT_INBOX, ("redis.connect_timeout_ms", "200")],
        |error| matches!(error, StartError::Redis(Unreachable { .. })),
        &[],
    )
    .await;
}

#[tokio::test]
async fn a_wrong_or_missing_password_refuses_the_start_without_showing_it() {
    let redis = RedisServer::start(&["--requirepass", "right"]).await;
    let with = |credentials: &str| format!("redis://{credentials}127.0.0.1:{}", redis.port);
    let wrong = |error: &_| matches!(error, StartError::Redis(WrongPassword { .. }));
    let shown = assert_refused(&with(":hunter2@"), &[], wrong, &[]).await;
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_refused(
        &with(""),
        &[],
        |error| matches!(error, StartError::Redis(PasswordRequired { .. })),
        &[],
    )
    .await;
    assert_starts(&with(":right@")).await;
}

#[tokio::test]
async fn an_evicting_redis_or_a_replica_refuses_the_start() {
    let evicting = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]).await;
    assert_refused(
        &evicting.url(),
        &[],
        |error| matches!(error, StartError::Redis(EvictsEntries { .. })),
        &["allkeys-lru", "noeviction"],
    )
    .await;
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1 1"]).await;
    assert_refused(
        &replica.url(),
        &[],
        |error| matches!(error, StartError::Redis(ReadOnlyReplica { .. })),
        &[],
    )
    .await;
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
        let settings = Settings::from_map([("redis.url".to_owned(), url)].into()).unwrap();
        assert_eq!(check_server(&settings.redis).await.unwrap().warnings, notes);
    }
}

#[tokio::test]
async fn a_taken_port_refuses_the_start_and_names_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let redis_url = redis_database().await;
    assert_refused(
        &redis_url,
        &[("ingress.bind", &address)],
        |error| matches!(error, StartError::Bind { .. }),
        &[&address, "HARKARA__INGRESS__BIND"],
    )
    .await;
    assert_refused(
        &redis_url,
        &[("ingress.admin_bind", &address)],
        |error| matches!(error, StartError::Admin(_)),
        &["HARKARA__INGRESS__ADMIN_BIND"],
    )
    .await;
}
