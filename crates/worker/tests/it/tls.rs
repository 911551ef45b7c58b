//! TLS to Redis and PostgreSQL: real handshakes, and certificates that are refused with the remedy.

use harkara_storage::PoolSettings;
use harkara_storage::migrations::migrate;
use harkara_telemetry::Tracer;
use harkara_testkit::{
    Authority, Certificate, Folder, PgBouncer, PostgresPlan, PostgresServer, RedisServer,
    TestDatabase, redis_database,
};

use crate::pipeline::{Pipeline, settings, until};
use crate::starts::refusal;

/// The plain role needs TLS; the superuser, who inspects, does not.
const TLS_ALONE: &str =
    "hostssl all harkara 127.0.0.1/32 trust\nhost all postgres 127.0.0.1/32 trust\n";

/// The same, and the plain role shows a certificate.
const MUTUAL: &str = "hostssl all harkara 127.0.0.1/32 trust clientcert=verify-ca\n";

/// Nobody listens there.
const NOBODY: &str = "postgres://harkara@127.0.0.1:1/harkara";

async fn postgres_with(certificate: &Certificate, clients: &str) -> PostgresServer {
    PostgresServer::start_with(&PostgresPlan {
        arguments: &[
            "ssl=on",
            "ssl_cert_file=tls.crt",
            "ssl_key_file=tls.key",
            "ssl_ca_file=ca.crt",
            "fsync=off",
        ],
        files: &[
            ("tls.crt", &certificate.pem),
            ("tls.key", &certificate.key_pem),
            ("ca.crt", &certificate.authority_pem),
            ("pg_hba.conf", clients),
        ],
        ..PostgresPlan::default()
    })
    .await
}

/// An authority, and a folder with its certificate, that of another, and a client's with its key.
fn certificates() -> (Authority, Folder) {
    let authority = Authority::new("Harkara Test");
    let client = authority.issue(&["harkara"]);
    let files = Folder::new();
    files.write("ca.crt", &authority.pem());
    files.write("other.crt", &Authority::new("Other").pem());
    files.write("client.crt", &client.pem);
    files.write("client.key", &client.key_pem);
    (authority, files)
}

#[track_caller]
fn assert_says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
}

#[tokio::test]
async fn a_delivery_goes_over_tls_all_the_way_to_the_tables() {
    let (authority, files) = certificates();
    let certificate = authority.issue(&["localhost", "127.0.0.1"]);
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
    migrate(&PoolSettings::of(&own, "harkara-test"))
        .await
        .unwrap();

    let database = TestDatabase::at(postgres.superuser_url()).await;
    let mut pipeline = Pipeline::start_with(database, redis.url(), &changed, Tracer::off()).await;
    let worker = pipeline.worker(&changed).await;
    pipeline.deliver_payments(1).await;
    pipeline.until_events("processed", 1).await;
    // The inbox uses TLS too.
    drop(redis);
    pipeline.deliver_new("order.paid", 1).await;
    pipeline.until_events("processed", 2).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_pooler_is_used_over_tls_with_a_password() {
    let (authority, files) = certificates();
    let certificate = authority.issue(&["127.0.0.1"]);
    files.write("pooler.crt", &certificate.pem);
    files.write("pooler.key", &certificate.key_pem);
    files.write("users", "\"harkara\" \"a word\"\n");
    let database = TestDatabase::migrated().await;
    let [crt, key, users, ca_file] =
        ["pooler.crt", "pooler.key", "users", "ca.crt"].map(|name| files.file(name));
    let pooler = PgBouncer::before(
        &database.url,
        &[
            ("client_tls_sslmode", "require"),
            ("client_tls_cert_file", &crt),
            ("client_tls_key_file", &key),
            ("auth_type", "scram-sha-256"),
            ("auth_file", &users),
        ],
    )
    .await;
    let url = pooler
        .url(&database.url)
        .replace("harkara@", "harkara:a%20word@");
    let url = format!("{url}?sslmode=verify-full");
    let changed = [
        ("postgres.url", url.as_str()),
        ("postgres.ca_file", &ca_file),
    ];
    let redis = redis_database().await;
    let mut pipeline = Pipeline::start_with(database, redis, &changed, Tracer::off()).await;
    let worker = pipeline.worker(&changed).await;
    pipeline.deliver_payments(20).await;
    pipeline.until_processed(20).await;
    worker.stop().await;
}

#[tokio::test]
async fn certificates_of_redis_are_refused_with_the_remedy() {
    let (authority, files) = certificates();
    let (ours, others) = (files.file("ca.crt"), files.file("other.crt"));
    let trusting = |file| [("redis.ca_file", file)];
    let unknown = [
        "Redis at 127.0.0.1:",
        "untrusted authority",
        "redis.ca_file (HARKARA__REDIS__CA_FILE)",
    ];
    let sound = authority.issue(&["127.0.0.1"]);
    let of_another_host = authority.issue(&["redis.internal"]);
    let expired = authority.issue_expired(&["127.0.0.1"]);
    for (certificate, changed, expected) in [
        (&sound, &[][..], &unknown[..]),
        (&sound, &trusting(others.as_str()), &unknown),
        (
            &of_another_host,
            &trusting(&ours),
            &["is for redis.internal and not for 127.0.0.1", "redis.url"],
        ),
        (
            &expired,
            &trusting(&ours),
            &["expired 1 day ago", "renew it"],
        ),
    ] {
        let redis = RedisServer::start_tls(certificate, &[]).await;
        assert_says(&refusal(&redis.url(), NOBODY, changed).await, expected);
    }

    let redis = RedisServer::start(&[]).await;
    let url = redis.url().replace("redis://", "rediss://");
    let quickly = ("redis.connect_timeout_ms", "300");
    let error = refusal(&url, NOBODY, &[("redis.ca_file", &ours), quickly]).await;
    assert_says(&error, &["does not answer over TLS"]);
}

#[tokio::test]
async fn redis_that_requires_a_client_certificate_gets_it() {
    let (authority, files) = certificates();
    let certificate = authority.issue(&["127.0.0.1"]);
    let [ca_file, client_crt, client_key] =
        ["ca.crt", "client.crt", "client.key"].map(|name| files.file(name));
    let redis = RedisServer::start_tls(&certificate, &["--tls-auth-clients", "yes"]).await;
    let changed = [
        ("redis.ca_file", ca_file.as_str()),
        ("redis.client_certificate_file", &client_crt),
        ("redis.client_key_file", &client_key),
    ];
    let required = ["redis.client_certificate_file", "redis.client_key_file"];
    let without = refusal(&redis.url(), NOBODY, &changed[..1]).await;
    assert_says(&without, &required);
    let with = refusal(&redis.url(), NOBODY, &changed).await;
    assert_says(&with, &["PostgreSQL cannot be used"]);
}

#[tokio::test]
async fn certificates_of_postgresql_are_refused_with_the_remedy() {
    let (authority, files) = certificates();
    let (ours, others) = (files.file("ca.crt"), files.file("other.crt"));
    let redis = redis_database().await;
    let postgres = postgres_with(&authority.issue(&["127.0.0.1"]), TLS_ALONE).await;
    let url = postgres.url();
    let required = format!("{url}?sslmode=require");
    let authority_in_url = format!("{url}?sslrootcert={ours}");
    let trusting = |file| [("postgres.ca_file", file)];
    let unknown = [
        "PostgreSQL at 127.0.0.1:",
        "untrusted authority",
        "postgres.ca_file (HARKARA__POSTGRES__CA_FILE)",
    ];
    for (url, changed, expected) in [
        (&required, &[][..], &unknown[..]),
        (&url, &trusting(others.as_str()), &unknown),
        // An authority alone requires TLS, in the settings or in the URL.
        (&url, &trusting(&ours), &["harkara migrate"]),
        (&authority_in_url, &[], &["harkara migrate"]),
        (&url, &[], &["no encryption"]),
    ] {
        assert_says(&refusal(&redis, url, changed).await, expected);
    }

    for (certificate, expected) in [
        (
            authority.issue(&["db.internal"]),
            ["is for db.internal and not for 127.0.0.1", "postgres.url"],
        ),
        (
            authority.issue_expired(&["127.0.0.1"]),
            ["expired 1 day ago", "renew it"],
        ),
    ] {
        postgres.write_file("tls.crt", &certificate.pem);
        postgres.write_file("tls.key", &certificate.key_pem);
        postgres.reload();
        until("the certificate is refused", async || {
            let error = refusal(&redis, &url, &trusting(&ours)).await;
            expected.iter().all(|part| error.contains(part))
        })
        .await;
    }
}

#[tokio::test]
async fn postgresql_without_tls_is_refused_if_tls_is_required() {
    let database = TestDatabase::migrated().await;
    let url = format!("{}?sslmode=verify-full", database.url);
    let error = refusal(&redis_database().await, &url, &[]).await;
    assert_says(&error, &["server does not support TLS"]);
}

#[tokio::test]
async fn postgresql_that_requires_a_client_certificate_gets_it() {
    let (authority, files) = certificates();
    let [ca_file, client_crt, client_key] =
        ["ca.crt", "client.crt", "client.key"].map(|name| files.file(name));
    let redis = redis_database().await;
    let postgres = postgres_with(&authority.issue(&["127.0.0.1"]), MUTUAL).await;
    let url = postgres.url();
    let without = format!("{url}?sslmode=verify-full&sslrootcert={ca_file}");
    let with = format!("{without}&sslcert={client_crt}&sslkey={client_key}");
    let error = refusal(&redis, &without, &[]).await;
    assert_says(&error, &["client certificate"]);
    assert_says(&refusal(&redis, &with, &[]).await, &["harkara migrate"]);
}
