//! What keeps the ingress from starting, and what it says.

use std::net::TcpListener;

use harkara_core::causes::with_causes;
use harkara_ingress::StartError;
use harkara_settings::Settings;
use harkara_streams::{Note, ServerProblem, check_server};
use harkara_testkit::redis_database;

use harkara_testkit::RedisServer;

use crate::durability::replica_of;
use crate::ingress::{Ingress, UNSET, build};

const WITHOUT_INBOX: (&str, &str) = ("ingress.inbox_connections_max", "0");

/// The refusal to start, as an operator would read it.
async fn refusal(redis_url: &str, changed: &[(&str, &str)]) -> (StartError, String) {
    let error = build(redis_url, changed)
        .await
        .err()
        .expect("the ingress refuses to start");
    let told = with_causes(&error);
    (error, told)
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
    let changed = [("endpoints.default.secrets", UNSET)];
    let (error, told) = refusal("redis://127.0.0.1:1", &changed).await;
    assert!(matches!(error, StartError::NoEndpoints));
    assert!(
        told.contains("HARKARA__ENDPOINTS__DEFAULT__SECRETS"),
        "{told}"
    );
}

#[tokio::test]
async fn an_unreachable_redis_refuses_the_start_without_an_inbox() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (error, told) = refusal(&format!("redis://{closed}"), &[WITHOUT_INBOX]).await;
    assert!(
        matches!(error, StartError::Redis(ServerProblem::Unreachable { .. })),
        "{error:?}"
    );
    assert!(told.contains(&closed.to_string()), "{told}");
    assert!(told.contains("refused"), "{told}");
    assert!(told.contains("HARKARA__REDIS__URL"), "{told}");
}

#[tokio::test]
async fn a_redis_that_does_not_answer_refuses_the_start_in_time_without_an_inbox() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let in_time = ("redis.connect_timeout_ms", "200");
    let (error, _) = refusal(&url, &[WITHOUT_INBOX, in_time]).await;
    assert!(
        matches!(error, StartError::Redis(ServerProblem::Unreachable { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_wrong_or_missing_password_refuses_the_start_without_showing_it() {
    let redis = RedisServer::start(&["--requirepass", "right"]).await;
    let with = |credentials: &str| format!("redis://{credentials}127.0.0.1:{}", redis.port);

    let (error, told) = refusal(&with(":hunter2@"), &[]).await;
    assert!(
        matches!(
            error,
            StartError::Redis(ServerProblem::WrongPassword { .. })
        ),
        "{error:?}"
    );
    assert!(
        !format!("{told} {error:?}").contains("hunter2"),
        "{told} {error:?}"
    );

    let (error, _) = refusal(&with(""), &[]).await;
    assert!(
        matches!(
            error,
            StartError::Redis(ServerProblem::PasswordRequired { .. })
        ),
        "{error:?}"
    );

    let ingress = Ingress::start_on(&with(":right@"), &[]).await;
    assert_eq!(ingress.deliver("{}").await.status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn an_evicting_redis_refuses_the_start_with_the_remedy() {
    let redis = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]).await;
    let (error, told) = refusal(&redis.url(), &[]).await;
    assert!(
        matches!(
            error,
            StartError::Redis(ServerProblem::EvictsEntries { .. })
        ),
        "{error:?}"
    );
    assert!(
        told.contains("allkeys-lru") && told.contains("noeviction"),
        "{told}"
    );
}

#[tokio::test]
async fn a_replica_refuses_the_start() {
    let redis = RedisServer::start(&["--replicaof", "127.0.0.1 1"]).await;
    let (error, _) = refusal(&redis.url(), &[]).await;
    assert!(
        matches!(
            error,
            StartError::Redis(ServerProblem::ReadOnlyReplica { .. })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_user_who_may_not_ask_or_append_refuses_the_start() {
    let redis = RedisServer::start(&[]).await;
    let mut connection = redis.connection().await;
    for (user, may_not) in [("cannot-ask", "-info"), ("cannot-append", "-xadd")] {
        let mut setuser = redis::cmd("ACL");
        setuser.arg(&["SETUSER", user, "on", ">pass", "~*", "+@all", may_not]);
        setuser.exec_async(&mut connection).await.unwrap();
        let url = format!("redis://{user}:pass@127.0.0.1:{}", redis.port);
        let (error, told) = refusal(&url, &[]).await;
        let problem = matches!(error, StartError::Redis(ServerProblem::NotPermitted { .. }));
        assert!(problem, "{error:?}");
        assert!(told.contains(&may_not[1..]), "{told}");
    }
}

#[tokio::test]
async fn a_user_who_may_make_no_transaction_refuses_the_start_only_where_appends_are_grouped() {
    for (appendfsync, may_not) in [
        ("always", "multi"),
        ("always", "exec"),
        ("everysec", "multi"),
    ] {
        let redis = RedisServer::start(&["--appendfsync", appendfsync]).await;
        let mut connection = redis.connection().await;
        let mut setuser = redis::cmd("ACL");
        let rule = format!("-{may_not}");
        setuser.arg(&["SETUSER", "single", "on", ">pass", "~*", "+@all", &rule]);
        setuser.exec_async(&mut connection).await.unwrap();
        let url = format!("redis://single:pass@127.0.0.1:{}", redis.port);
        if appendfsync == "always" {
            let (error, told) = refusal(&url, &[]).await;
            let problem = matches!(error, StartError::Redis(ServerProblem::NotPermitted { .. }));
            assert!(problem, "{error:?}");
            assert!(told.contains(may_not), "{told}");
        } else {
            let ingress = Ingress::start_on(&url, &[]).await;
            assert_eq!(ingress.deliver("{}").await.status, 200);
            ingress.stop().await;
        }
    }
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_confirmation_of_a_level_refuses_the_start() {
    let fsyncs = RedisServer::start_with_waitaof(&["--appendfsync", "everysec"]).await;
    // It answers before the fsync while it rewrites its file, so its answer confirms nothing.
    let loose = [
        "--appendfsync",
        "always",
        "--no-appendfsync-on-rewrite",
        "yes",
    ];
    let loose = RedisServer::start_with_waitaof(&loose).await;
    let replicated = RedisServer::start(&["--appendfsync", "always"]).await;
    let _replica = replica_of(&replicated).await;
    for (redis, may_not, level) in [
        (&fsyncs, "waitaof", "fsynced"),
        (&loose, "waitaof", "fsynced"),
        (&replicated, "wait", "replicated"),
    ] {
        let mut connection = redis.connection().await;
        let mut setuser = redis::cmd("ACL");
        let rule = format!("-{may_not}");
        setuser.arg(&["SETUSER", "unsure", "on", ">pass", "~*", "+@all", &rule]);
        setuser.exec_async(&mut connection).await.unwrap();
        let url = format!("redis://unsure:pass@127.0.0.1:{}", redis.port);
        let (error, told) = refusal(&url, &[("ingress.durability", level)]).await;
        let problem = matches!(error, StartError::Redis(ServerProblem::NotPermitted { .. }));
        assert!(problem, "{error:?}");
        assert!(told.contains(may_not), "{told}");
        // Who asks for less needs no such permission.
        let ingress = Ingress::start_on(&url, &[]).await;
        assert_eq!(ingress.deliver("{}").await.status, 200);
        ingress.stop().await;
    }
}

#[tokio::test]
async fn missing_persistence_and_hidden_configuration_are_notes_and_no_refusal() {
    let redis = RedisServer::start(&["--appendonly", "no"]).await;
    let settings = |url: String| {
        Settings::from_map([("redis.url".to_owned(), url)].into())
            .unwrap()
            .redis
    };
    let report = check_server(&settings(redis.url())).await.unwrap();
    assert_eq!(report.notes, [Note::PersistenceOff]);

    let mut connection = redis.connection().await;
    let mut setuser = redis::cmd("ACL");
    setuser.arg(&[
        "SETUSER", "managed", "on", ">pass", "~*", "+@all", "-config",
    ]);
    setuser.exec_async(&mut connection).await.unwrap();
    let url = format!("redis://managed:pass@127.0.0.1:{}", redis.port);
    let report = check_server(&settings(url)).await.unwrap();
    assert_eq!(report.notes, [Note::PersistenceOff, Note::ConfigHidden]);
}

#[tokio::test]
async fn a_taken_port_refuses_the_start_and_names_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let redis_url = redis_database().await;
    let (error, told) = refusal(&redis_url, &[("ingress.bind", &address)]).await;
    assert!(matches!(error, StartError::Bind { .. }), "{error:?}");
    assert!(
        told.contains(&address) && told.contains("HARKARA__INGRESS__BIND"),
        "{told}"
    );
    let (error, told) = refusal(&redis_url, &[("ingress.admin_bind", &address)]).await;
    assert!(matches!(error, StartError::Admin(_)), "{error:?}");
    assert!(told.contains("HARKARA__INGRESS__ADMIN_BIND"), "{told}");
}
