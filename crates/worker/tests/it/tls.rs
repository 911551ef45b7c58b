//! TLS to Redis and PostgreSQL: real handshakes, and certificates that are refused with the remedy.

use harkara_core::causes::with_remedy_and_causes;
use harkara_storage::migrations::migrate;
use harkara_telemetry::Tracer;
use harkara_testkit::{
    Authority, Certificate, Folder, PostgresServer, RedisServer, TestDatabase, redis_database,
    wait_until,
};
use harkara_worker::App;

use crate::pipeline::{BOUND, Pipeline, settings};

/// The plain role is let in over TLS alone, the superuser anyhow, to look.
const TLS_ALONE: &str =
    "hostssl all harkara 127.0.0.1/32 trust\nhost all postgres 127.0.0.1/32 trust\n";

/// The same, and the plain role shows a certificate.
const MUTUAL: &str = "hostssl all harkara 127.0.0.1/32 trust clientcert=verify-ca\n";

/// Nobody listens there.
const NOBODY: &str = "postgres://harkara@127.0.0.1:1/harkara";

async fn postgres_with(certificate: &Certificate, clients: &str) -> PostgresServer {
    PostgresServer::start_with_files(
        &[
            "ssl=on",
            "ssl_cert_file=tls.crt",
            "ssl_key_file=tls.key",
            "ssl_ca_file=ca.crt",
            "fsync=off",
        ],
        &[
            ("tls.crt", &certificate.pem),
            ("tls.key", &certificate.key_pem),
            ("ca.crt", &certificate.authority_pem),
            ("pg_hba.conf", clients),
        ],
    )
    .await
}

/// Why the worker does not start, as an operator would read it.
async fn refusal(redis: &str, postgres: &str, changed: &[(&str, &str)]) -> String {
    let error = App::build(&settings(redis, postgres, changed), &Tracer::off())
        .await
        .err()
        .expect("the worker refuses to start");
    with_remedy_and_causes(&error, error.remedy().as_deref())
}

fn assert_told(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "{word:?} is missing in: {told}");
    }
}

#[tokio::test]
async fn a_delivery_goes_over_tls_all_the_way_to_the_tables() {
    let authority = Authority::new("Harkara Test");
    let certificate = authority.issue(&["localhost", "127.0.0.1"]);
    let files = Folder::new();
    files.write("ca.crt", &authority.pem());
    let redis = RedisServer::start_tls(&certificate, &[]).await;
    let postgres = postgres_with(&certificate, TLS_ALONE).await;
    let (url, ca_file) = (
        format!("{}?sslmode=verify-full", postgres.url()),
        files.file("ca.crt"),
    );
    let changed = [
        ("postgres.url", url.as_str()),
        ("postgres.ca_file", &ca_file),
        ("redis.ca_file", &ca_file),
    ];
    let own = settings(&redis.url(), NOBODY, &changed).postgres;
    migrate(&own.url, own.tls.as_ref()).await.unwrap();

    let database = TestDatabase::at(postgres.superuser_url()).await;
    let mut pipeline = Pipeline::start_in(database, redis.url(), &changed).await;
    let worker = pipeline.worker(&changed).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    // The inbox takes the same processor.
    drop(redis);
    let event = pipeline.bodies.event("order.paid");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 2).await;
    worker.stop().await;
}

#[tokio::test]
async fn certificates_of_redis_are_refused_with_the_remedy() {
    let (authority, other) = (Authority::new("Harkara Test"), Authority::new("Other"));
    let files = Folder::new();
    files.write("ca.crt", &authority.pem());
    files.write("other.crt", &other.pem());
    let (ours, others) = (files.file("ca.crt"), files.file("other.crt"));

    let redis = RedisServer::start_tls(&authority.issue(&["127.0.0.1"]), &[]).await;
    let unknown = [
        "Redis at 127.0.0.1:",
        "authority that we do not trust",
        "redis.ca_file (HARKARA__REDIS__CA_FILE)",
    ];
    let told = refusal(&redis.url(), NOBODY, &[]).await;
    assert_told(&told, &unknown);
    let told = refusal(&redis.url(), NOBODY, &[("redis.ca_file", &others)]).await;
    assert_told(&told, &unknown);

    let redis = RedisServer::start_tls(&authority.issue(&["redis.internal"]), &[]).await;
    let told = refusal(&redis.url(), NOBODY, &[("redis.ca_file", &ours)]).await;
    assert_told(
        &told,
        &["is for redis.internal and not for 127.0.0.1", "redis.url"],
    );

    let redis = RedisServer::start_tls(&authority.issue_expired(&["127.0.0.1"]), &[]).await;
    let told = refusal(&redis.url(), NOBODY, &[("redis.ca_file", &ours)]).await;
    assert_told(&told, &["expired 1 day ago", "renew it"]);

    let redis = RedisServer::start(&[]).await;
    let url = redis.url().replace("redis://", "rediss://");
    let quickly = ("redis.connect_timeout_ms", "300");
    let told = refusal(&url, NOBODY, &[("redis.ca_file", &ours), quickly]).await;
    assert_told(&told, &["does not answer over TLS"]);
}

#[tokio::test]
async fn redis_that_asks_for_a_client_certificate_gets_it() {
    let authority = Authority::new("Harkara Test");
    let certificate = authority.issue(&["127.0.0.1"]);
    let client = authority.issue(&["harkara"]);
    let files = Folder::new();
    files.write("ca.crt", &authority.pem());
    files.write("client.crt", &client.pem);
    files.write("client.key", &client.key_pem);
    let (ca_file, client_crt, client_key) = (
        files.file("ca.crt"),
        files.file("client.crt"),
        files.file("client.key"),
    );
    let redis = RedisServer::start_tls(&certificate, &["--tls-auth-clients", "yes"]).await;

    let told = refusal(&redis.url(), NOBODY, &[("redis.ca_file", &ca_file)]).await;
    assert_told(
        &told,
        &["redis.client_certificate_file", "redis.client_key_file"],
    );
    let changed = [
        ("redis.ca_file", ca_file.as_str()),
        ("redis.client_certificate_file", &client_crt),
        ("redis.client_key_file", &client_key),
    ];
    let told = refusal(&redis.url(), NOBODY, &changed).await;
    assert_told(&told, &["PostgreSQL cannot be used"]);
}

#[tokio::test]
async fn certificates_of_postgresql_are_refused_with_the_remedy() {
    let (authority, other) = (Authority::new("Harkara Test"), Authority::new("Other"));
    let files = Folder::new();
    files.write("ca.crt", &authority.pem());
    files.write("other.crt", &other.pem());
    let (ours, others) = (files.file("ca.crt"), files.file("other.crt"));
    let redis = redis_database().await;
    let postgres = postgres_with(&authority.issue(&["127.0.0.1"]), TLS_ALONE).await;
    let url = postgres.url();

    let required = format!("{url}?sslmode=require");
    let unknown = [
        "PostgreSQL at 127.0.0.1:",
        "authority that we do not trust",
        "postgres.ca_file (HARKARA__POSTGRES__CA_FILE)",
    ];
    assert_told(&refusal(&redis, &required, &[]).await, &unknown);
    let changed = [("postgres.ca_file", others.as_str())];
    assert_told(&refusal(&redis, &url, &changed).await, &unknown);

    // The authority alone asks for TLS, be it in the settings or in the URL.
    let by_setting = [("postgres.ca_file", ours.as_str())];
    let in_url = format!("{url}?sslrootcert={ours}");
    for (url, changed) in [(url.as_str(), &by_setting[..]), (&in_url, &[])] {
        assert_told(&refusal(&redis, url, changed).await, &["harkara migrate"]);
    }
    let plain = refusal(&redis, &url, &[]).await;
    assert_told(&plain, &["no encryption"]);

    for (certificate, words) in [
        (
            authority.issue(&["db.internal"]),
            &["is for db.internal and not for 127.0.0.1", "postgres.url"][..],
        ),
        (
            authority.issue_expired(&["127.0.0.1"]),
            &["expired 1 day ago", "renew it"],
        ),
    ] {
        postgres.write_file("tls.crt", &certificate.pem);
        postgres.write_file("tls.key", &certificate.key_pem);
        postgres.reload();
        wait_until("the certificate is refused", BOUND, async || {
            let told = refusal(&redis, &url, &by_setting).await;
            words.iter().all(|word| told.contains(word))
        })
        .await;
    }
}

#[tokio::test]
async fn postgresql_without_tls_is_not_spoken_to_where_tls_is_asked_for() {
    let database = TestDatabase::migrated().await;
    let url = format!("{}?sslmode=verify-full", database.url);
    let told = refusal(&redis_database().await, &url, &[]).await;
    assert_told(&told, &["server does not support TLS"]);
}

#[tokio::test]
async fn postgresql_that_asks_for_a_client_certificate_gets_it() {
    let authority = Authority::new("Harkara Test");
    let client = authority.issue(&["harkara"]);
    let files = Folder::new();
    files.write("ca.crt", &authority.pem());
    files.write("client.crt", &client.pem);
    files.write("client.key", &client.key_pem);
    let redis = redis_database().await;
    let postgres = postgres_with(&authority.issue(&["127.0.0.1"]), MUTUAL).await;
    let url = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        postgres.url(),
        files.file("ca.crt")
    );
    let told = refusal(&redis, &url, &[]).await;
    assert_told(&told, &["client certificate"]);
    let url = format!(
        "{url}&sslcert={}&sslkey={}",
        files.file("client.crt"),
        files.file("client.key")
    );
    assert_told(&refusal(&redis, &url, &[]).await, &["harkara migrate"]);
}
