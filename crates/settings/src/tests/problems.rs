//! What is wrong with settings, and how it is reported.

use super::super::{SecretsFileError, ValueOrigin};
use super::*;

fn error_of(pairs: &[(&str, &str)]) -> SettingsError {
    from(pairs).expect_err("these settings are invalid")
}

#[test]
fn all_problems_are_reported_with_key_origin_and_expectation() {
    let empty = text_file("empty.pem", "");
    let empty = path_of(&empty);
    let rediss = ("redis.url", "rediss://host");
    let verified = ("postgres.url", "postgres://host/db?sslmode=require");
    let ca_in_url = "postgres://u:word@host/db?sslrootcert=/nowhere/ca.pem";
    let invalid: &[&[(&str, &str)]] = &[
        &[
            ("deployment.name", "two words"),
            ("redis.prefix", "harkara{1}"),
            ("redis.partition", "70000"),
            ("ingress.bind", "somewhere"),
            ("ingress.body_bytes_max", "1 MiB"),
            ("ingress.trusted_proxies", "razorpay"),
            ("worker.lane_weights", "8,4,2,0"),
            ("worker.batch_entries_max", "3"),
            ("durability.lowest", "appended"),
            ("durability.default", "stored"),
            ("lanes.paymnt", "critical"),
            ("endpoints.default.secrets", "a"),
            ("endpoints.default.allow", "10.0.0.0/99"),
            ("endpoints.empty.secrets", "a"),
            ("endpoints.empty.allow", ""),
            ("endpoints.nobody.allow", "razorpay"),
            ("log.format", "xml"),
            ("redis.urll", "redis://x"),
            ("ingress.bnd", "0.0.0.0:1"),
        ],
        // Files.
        &[("redis.url_file", "/nowhere")],
        &[("redis.url_file", "/nowhere"), rediss],
        &[("redis.url", "rediss://host/#insecure")],
        &[("redis.ca_file", "/nowhere/ca.pem"), rediss],
        &[("redis.ca_file", empty), rediss],
        &[("postgres.ca_file", "/nowhere/ca.pem"), verified],
        &[("postgres.ca_file", empty), verified],
        &[("postgres.url", ca_in_url)],
        // Relations.
        &[("ingress.tls_key_file", "/tls.key")],
        &[("ingress.buffered_bytes_max", "1048575")],
        &[("worker.backoff_max_ms", "10")],
        &[("worker.consumer_idle_ms", "60000")],
        &[
            ("worker.consumer_idle_ms", "100000"),
            ("worker.read_wait_ms", "60000"),
            ("worker.claim_idle_ms", "1000"),
        ],
        // Sentinels and endpoints.
        &[("redis.sentinels", "a.internal")],
        &[("redis.sentinels", "a:0")],
        &[("redis.sentinels", "::1:26379")],
        &[("redis.sentinels", "redis://a:1")],
        &[("redis.sentinels", ":1")],
        &[("endpoints.Live.secrets", "x")],
        &[("endpoints.a.b.secrets", "x")],
        &[("endpoints.live.secret", "x")],
        &[("endpoints.live.secrets", "")],
        &[("endpoints.live", "x")],
        &[("endpoints.live.diagnose_with", "x")],
    ];
    let errors = invalid.iter().map(|pairs| error_of(pairs).to_string());
    let errors: Vec<String> = errors.collect();
    let errors = errors.join("\n").replace(empty, "<empty.pem>");
    insta::assert_snapshot!(errors);
    assert!(from(&[("ingress.buffered_bytes_max", "1048576")]).is_ok());
}

#[test]
fn secrets_are_never_in_an_error_or_debug_output() {
    let bad = [
        ("redis.url", "http://user:hunter2@host"),
        ("postgres.url", "mysql://user:hunter2@host"),
        ("endpoints.default.secrets", "hunter2,,"),
        ("endpoints.live.secrets", "webhook"),
        ("endpoints.live.diagnose_with", "hunter2,,"),
    ];
    let error = error_of(&bad);
    assert_eq!(error.problems().len(), 4);
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    let settings = from(&[
        ("redis.url", "redis://user:hunter2@host"),
        ("postgres.url", "postgres://user:hunter2@host/db"),
        ("endpoints.default.secrets", "hunter2"),
    ])
    .unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn a_file_without_valid_secrets_gives_none_and_shows_nothing() {
    let large = "x".repeat(70_000);
    for text in ["", "\n\n", "hunter2\n\nhunter3", "hunter2,", &large] {
        let file = text_file("invalid", text);
        let error = read_secrets_file(file.path()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    }
    let nowhere = read_secrets_file("/nowhere/at/all".as_ref());
    assert!(matches!(nowhere, Err(SecretsFileError::Unreadable(_))));
}

#[test]
fn a_problem_of_a_file_names_it_without_quoting_its_lines() {
    let broken = from_toml("broken.toml", "[endpoints.live]\nsecrets = [\"hunter2\n");
    let text = broken.expect_err("broken").to_string();
    assert!(
        text.contains("broken.toml") && text.contains("line 2"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");

    let missing = Settings::load(Some("/nowhere/harkara.toml".as_ref()));
    let text = missing.expect_err("there is no file").to_string();
    assert!(text.contains("/nowhere/harkara.toml"), "{text}");

    let no_secrets = from_toml("no-secrets.toml", "[endpoints.live]\n[redis]\n");
    let error = no_secrets.expect_err("no secrets");
    assert!(matches!(error.problems(), [problem] if problem.key == "endpoints.live"));
}

#[test]
fn a_later_layer_wins_and_a_variable_is_named_in_its_problem() {
    let key = "log.format";
    let mut layer = Layer::of_pairs([(key, "json")]);
    let form = layers::Form::Text("xml".to_owned());
    let origin = ValueOrigin::Environment(layers::variable_of(key));
    let given = BTreeMap::from([(key.to_owned(), layers::Given { form, origin })]);
    let problems = Vec::new();
    layer.extend(Layer { given, problems });
    let error = Settings::parse(layer).expect_err("xml is no format");
    let origins = error.problems().iter().map(|p| p.origin.to_string());
    assert_eq!(origins.collect::<Vec<_>>(), ["HARKARA__LOG__FORMAT"]);
}
