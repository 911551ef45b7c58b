//! How it ends and what it prints, with everything sound, unsound or silent.

use harkara_testkit::{Authority, Folder, PostgresServer, TestDatabase};
use redis::InfoDict;
use redis::aio::MultiplexedConnection;

use super::{Report, harkara, sound_redis};
use crate::harkara::{Harkara, PASSWORD, POSTGRES_URL, REDIS_URL, SECRETS, nowhere};
use crate::snapshots::snapshots;

/// How many changes and keys a server has.
async fn written(redis: &mut MultiplexedConnection) -> (u64, u64) {
    let (info, keys): (InfoDict, u64) = redis::pipe()
        .cmd("INFO")
        .arg("persistence")
        .cmd("DBSIZE")
        .query_async(redis)
        .await
        .unwrap();
    (info.get("rdb_changes_since_last_save").unwrap(), keys)
}

#[tokio::test]
async fn a_sound_deployment_passes_strictly_and_nothing_is_written() {
    let redis = sound_redis(&[]).await;
    let postgres = PostgresServer::start(&["max_connections=50"]).await;
    let harkara = harkara(&redis.url(), &postgres.url());
    harkara.stdout("migrate").await;
    let mut connection = redis.connection().await;
    let before = written(&mut connection).await;

    snapshots(&harkara, &[("doctor_sound", "doctor --strict")]).await;
    let report = Report::of(&harkara, 0, "--strict --workers 3").await;
    assert_eq!(report.status, "ok", "{report:?}");
    // 47 are left for us; 3 of an ingress, 3 × 8 of the workers, 2 of a command.
    report.finds("postgres: connections", "29 in all, 47 are allowed");
    let report = Report::of(&harkara, 1, "--workers 6").await;
    assert_eq!(report.with_status("problem"), ["postgres: connections"]);
    report.has_remedy("postgres: connections", "max_connections");

    assert_eq!(before.1, 0);
    assert_eq!(written(&mut connection).await, before);
}

#[tokio::test]
async fn an_unavailable_server_is_a_problem_that_hides_nothing_of_the_other() {
    let redis = sound_redis(&[]).await;
    let database = TestDatabase::migrated().await;
    for (variable, scheme, other, words) in [
        (REDIS_URL, "redis", "schema: version", "binary needs it"),
        (
            POSTGRES_URL,
            "postgres",
            "redis: takes deliveries",
            "allowed",
        ),
    ] {
        let (url, address) = nowhere(scheme);
        let harkara = harkara(&redis.url(), &database.url).with(variable, &url);
        let report = Report::of(&harkara, 1, "").await;
        let reachable = format!("{scheme}: reachable");
        assert_eq!(report.with_status("problem"), [reachable.as_str()]);
        report.finds(&reachable, &address);
        report.has_remedy(&reachable, &format!("{scheme}.url"));
        report.finds(other, words);
        assert!(!format!("{report:?}").contains(PASSWORD), "{report:?}");
    }
}

#[tokio::test]
async fn silent_servers_time_out_whatever_the_settings_allow() {
    // Connections to them are taken by the system, and nobody ever reads from them.
    let silent = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (redis, postgres) = (silent(), silent());
    let redis_url = format!("redis://{}", redis.local_addr().unwrap());
    let postgres_url = format!("postgres://u@{}/d", postgres.local_addr().unwrap());
    let harkara = harkara(&redis_url, &postgres_url)
        .with("HARKARA__REDIS__CONNECT_TIMEOUT_MS", "60000")
        .with("HARKARA__REDIS__RESPONSE_TIMEOUT_MS", "60000")
        .with("HARKARA__POSTGRES__CONNECT_TIMEOUT_MS", "60000");
    let report = Report::of(&harkara, 1, "").await;
    let unreachable = ["redis: reachable", "postgres: reachable"];
    assert_eq!(report.with_status("problem"), unreachable);
    for check in unreachable {
        report.finds(check, "no answer within 8 s");
    }
}

#[tokio::test]
async fn invalid_settings_are_all_reported_and_nothing_else() {
    let harkara = Harkara::default()
        .with("HARKARA__POSTGRES__POOL_MAX", "many")
        .with("HARKARA__REDIS__URI", "redis://127.0.0.1")
        .with("HARKARA__ENDPOINTS__LIVE__SECRETS_FILE", "/nowhere/secrets");
    let report = Report::of(&harkara, 1, "").await;
    assert_eq!(report.findings.len(), 3, "{report:?}");
    assert_eq!(report.with_status("problem"), ["settings: valid"; 3]);
    let printed = format!("{report:?}");
    for words in ["POOL_MAX", "REDIS__URI", "/nowhere/secrets"] {
        assert!(printed.contains(words), "{words:?} is missing in {printed}");
    }
}

#[tokio::test]
async fn secrets_and_certificates_are_checked_without_any_server() {
    let folder = Folder::new();
    folder.write("secrets", "newest-secret-of-all\nthe-one-before-it\n");
    let authority = Authority::new("ours");
    let (valid, expired) = (
        authority.issue(&["hooks"]),
        authority.issue_expired(&["hooks"]),
    );
    for (certificate, n_expired, status, words) in [
        (valid, 0, "warning", "expires in 23h"),
        (expired, 1, "problem", "expired 1d"),
    ] {
        folder.write("tls.crt", &certificate.pem);
        folder.write("tls.key", &certificate.key_pem);
        let harkara = [
            ("ENDPOINTS__LIVE__SECRETS_FILE", "secrets"),
            ("INGRESS__TLS_CERTIFICATE_FILE", "tls.crt"),
            ("INGRESS__TLS_KEY_FILE", "tls.key"),
        ]
        .into_iter()
        .fold(Harkara::default(), |harkara, (setting, file)| {
            harkara.with(&format!("HARKARA__{setting}"), &folder.file(file))
        })
        .with(REDIS_URL, &nowhere("redis").0)
        .with(POSTGRES_URL, &nowhere("postgres").0);
        let report = Report::of(&harkara, 1, "").await;
        report.finds("endpoints: secrets of live", "2 secrets, read from");
        report.finds("tls: ingress certificate", words);
        assert_eq!(report.find("tls: ingress certificate")["status"], status);
        // Both servers are unavailable, whatever the certificate.
        let n_problems = report.with_status("problem").len();
        assert_eq!(n_problems, 2 + n_expired, "{report:?}");
    }
}

#[tokio::test]
async fn what_only_production_needs_is_checked_on_request() {
    let redis = sound_redis(&[]).await;
    let postgres = PostgresServer::start(&["max_connections=50"]).await;
    let development = harkara(&redis.url(), &postgres.url());
    development.stdout("migrate").await;
    let report = Report::of(&development, 1, "--production").await;
    assert_eq!(
        report.with_status("warning"),
        [
            "production: login to redis",
            "production: login to postgres",
            "production: secrets file of default",
            "production: name of the deployment",
            "production: traces",
        ]
    );

    let closed = sound_redis(&["--requirepass", "p"]).await;
    let folder = Folder::new();
    let secrets = folder.path().join("secrets");
    std::fs::write(&secrets, "a-long-and-random-secret").unwrap();
    let url = closed.url().replace("redis://", "redis://:p@");
    let production = harkara(&url, &postgres.url())
        .without(SECRETS)
        .with(&format!("{SECRETS}_FILE"), secrets.to_str().unwrap())
        .with("HARKARA__DEPLOYMENT__NAME", "payments")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let report = Report::of(&production, 1, "--production").await;
    // The test server asks nobody for a password.
    assert_eq!(
        report.with_status("warning"),
        ["production: login to postgres"]
    );
}
