//! How it ends and what it prints, with everything sound, unsound or silent.

use harkara_testkit::{Authority, Folder, PostgresServer};
use redis::aio::MultiplexedConnection;
use serde_json::Value;

use super::report::{Report, away, harkara, sound_redis};
use crate::harkara::Harkara;

async fn changes(redis: &mut MultiplexedConnection) -> String {
    let mut info = redis::cmd("INFO");
    let told: String = info.arg("persistence").query_async(redis).await.unwrap();
    let line = told.lines().find(|l| l.starts_with("rdb_changes_since"));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn a_sound_deployment_passes_strictly_and_nothing_is_written() {
    let redis = sound_redis(&[]).await;
    let postgres = PostgresServer::start(&["max_connections=50"]).await;
    let harkara = harkara(&redis.url(), &postgres.url());
    harkara.run(&["migrate"]).await.done();
    let mut connection = redis.connection().await;
    let before = changes(&mut connection).await;

    let report = Report::of(&harkara, 0, &["--strict", "--workers", "3"]).await;
    assert_eq!(report.status, "ok", "{report:?}");
    for finding in &report.findings {
        assert_eq!(finding["status"], "ok", "{finding}");
        assert_eq!(finding["remedy"], Value::Null, "{finding}");
    }
    report.tells("redis", "version", &format!("127.0.0.1:{}", redis.port));
    report.tells("redis", "durability", "fsyncs before it answers");
    report.tells("redis", "takes deliveries", "allowed");
    report.tells("schema", "indexes", "all are there");
    // 47 are left for us; 3 of an ingress, 3 × 8 of the workers, 2 of a command.
    report.tells("postgres", "connections", "29 in all, 47 are allowed");
    assert_eq!(changes(&mut connection).await, before);
    let keys: u64 = redis::cmd("DBSIZE")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(keys, 0);

    let report = Report::of(&harkara, 1, &["--workers", "6"]).await;
    assert_eq!(report.with_status("problem"), ["postgres: connections"]);
    report.has_remedy("postgres", "connections", "max_connections");
}

#[tokio::test]
async fn servers_that_say_nothing_are_given_up_whatever_the_settings_allow() {
    // Connections to them are taken by the system, and nobody ever reads from them.
    let silent = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (redis, postgres) = (silent(), silent());
    let redis_url = format!("redis://{}", redis.local_addr().unwrap());
    let postgres_url = format!("postgres://u@{}/d", postgres.local_addr().unwrap());
    let patient = [
        "HARKARA__REDIS__CONNECT_TIMEOUT_MS",
        "HARKARA__REDIS__RESPONSE_TIMEOUT_MS",
        "HARKARA__POSTGRES__CONNECT_TIMEOUT_MS",
    ];
    let harkara = patient
        .into_iter()
        .fold(harkara(&redis_url, &postgres_url), |harkara, variable| {
            harkara.with(variable, "60000")
        });
    let report = Report::of(&harkara, 1, &[]).await;
    let unreachable = ["redis: reachable", "postgres: reachable"];
    assert_eq!(report.with_status("problem"), unreachable);
    report.tells("redis", "reachable", "no answer within 8 s");
    report.tells("postgres", "reachable", "no answer within 8 s");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_all_and_nothing_else_is() {
    let harkara = Harkara::default()
        .with("HARKARA__POSTGRES__POOL_MAX", "many")
        .with("HARKARA__REDIS__URI", "redis://127.0.0.1")
        .with("HARKARA__ENDPOINTS__LIVE__SECRETS_FILE", "/nowhere/secrets");
    let report = Report::of(&harkara, 1, &[]).await;
    assert_eq!(report.findings.len(), 3, "{report:?}");
    assert_eq!(report.with_status("problem"), ["settings: valid"; 3]);
    let told = format!("{report:?}");
    for words in ["POOL_MAX", "REDIS__URI", "/nowhere/secrets"] {
        assert!(told.contains(words), "{words:?} is missing in {told}");
    }
}

#[tokio::test]
async fn secrets_and_certificates_are_told_of_without_any_server() {
    let folder = Folder::new();
    folder.write("secrets", "newest-secret-of-all\nthe-one-before-it\n");
    let authority = Authority::new("ours");
    for (certificate, n_expired, status, words) in [
        (authority.issue(&["hooks"]), 0, "warning", "expires in 23h"),
        (
            authority.issue_expired(&["hooks"]),
            1,
            "problem",
            "expired 1d",
        ),
    ] {
        folder.write("tls.crt", &certificate.pem);
        folder.write("tls.key", &certificate.key_pem);
        let harkara = Harkara::default()
            .with(
                "HARKARA__ENDPOINTS__LIVE__SECRETS_FILE",
                &folder.file("secrets"),
            )
            .with(
                "HARKARA__INGRESS__TLS_CERTIFICATE_FILE",
                &folder.file("tls.crt"),
            )
            .with("HARKARA__INGRESS__TLS_KEY_FILE", &folder.file("tls.key"))
            .with("HARKARA__REDIS__URL", &away("redis"))
            .with("HARKARA__POSTGRES__URL", &away("postgres"));
        // The servers are away, which is a problem whatever the certificate.
        let report = Report::of(&harkara, 1, &[]).await;
        report.tells("endpoints", "secrets of live", "2 secrets, read from");
        let certificate = report.find("tls", "ingress certificate");
        assert_eq!(certificate["status"], status, "{certificate}");
        report.tells("tls", "ingress certificate", words);
        let n_problems = report.with_status("problem").len();
        assert_eq!(n_problems, 2 + n_expired, "{report:?}");
    }
}
