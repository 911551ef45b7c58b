//! What is wrong with settings, and how it is reported.

use super::super::{Origin, SecretsFileError, SettingsProblem};
use super::*;

const NOT_A_FORMAT: &str =
    "log.format (set by the program): \"xml\" is not one of auto, json, pretty";

fn problems_of(pairs: &[(&str, &str)]) -> Vec<SettingsProblem> {
    let error = from(pairs).expect_err("these settings are invalid");
    error.problems().to_vec()
}

fn keys_of(problems: &[SettingsProblem]) -> Vec<&str> {
    problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect()
}

#[test]
fn all_problems_are_reported_together() {
    let problems = problems_of(&[
        ("redis.partition", "70000"),
        ("ingress.bind", "somewhere"),
        ("ingress.body_bytes_max", "1 MiB"),
        ("ingress.trusted_proxies", "razorpay"),
        ("worker.lane_weights", "8,4,2,0"),
        ("lanes.paymnt", "critical"),
        ("endpoints.default.secrets", "a"),
        ("endpoints.default.allow", "10.0.0.0/99"),
        ("endpoints.empty.secrets", "a"),
        ("endpoints.empty.allow", ""),
        ("endpoints.nobody.allow", "razorpay"),
        ("log.format", "xml"),
        ("redis.urll", "redis://x"),
    ]);
    let expected = [
        "redis.partition",
        "ingress.trusted_proxies",
        "ingress.bind",
        "ingress.body_bytes_max",
        "worker.lane_weights",
        "lanes.paymnt",
        "endpoints.default.allow",
        "endpoints.empty.allow",
        "endpoints.nobody",
        "log.format",
        "redis.urll",
    ];
    let (mut keys, mut expected) = (keys_of(&problems), expected.to_vec());
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
}

#[test]
fn a_problem_names_its_key_and_the_expectation() {
    let empty = TextFile::new("empty.pem", "");
    let rediss = ("redis.url", "rediss://host");
    let verified = ("postgres.url", "postgres://host/db?sslmode=require");
    let ca_in_url = "postgres://u:word@host/db?sslrootcert=/nowhere/ca.pem";
    let (unreadable, no_certificate) = ("cannot read the file", "contains no certificate");
    for (pairs, part) in [
        (&[("log.format", "xml")][..], NOT_A_FORMAT),
        (
            &[("ingress.bnd", "0.0.0.0:1")],
            "did you mean ingress.bind?",
        ),
        (&[("redis.url", "rediss://host/#insecure")], "redis.ca_file"),
        (&[("redis.ca_file", "/nowhere/ca.pem"), rediss], unreadable),
        (&[("redis.ca_file", empty.path()), rediss], no_certificate),
        (&[("postgres.ca_file", "/nowhere"), verified], unreadable),
        (
            &[("postgres.ca_file", empty.path()), verified],
            no_certificate,
        ),
        (&[("postgres.url", ca_in_url)], "/nowhere/ca.pem"),
        (&[("redis.url_file", "/nowhere"), rediss], "only one"),
        (
            &[("ingress.buffered_bytes_max", "1048575")],
            "must be at least ingress.body_bytes_max",
        ),
        (
            &[("worker.backoff_max_ms", "10")],
            "must be at least worker.backoff_first_ms",
        ),
        (
            &[("worker.consumer_idle_ms", "60000")],
            "must be more than worker.claim_idle_ms",
        ),
        (
            &[
                ("worker.consumer_idle_ms", "100000"),
                ("worker.read_wait_ms", "60000"),
                ("worker.claim_idle_ms", "1000"),
            ],
            "must be at least three times worker.read_wait_ms",
        ),
        (&[("worker.batch_entries_max", "3")], "from 4 to 10000"),
    ] {
        let problems = problems_of(pairs);
        assert_eq!(keys_of(&problems), [pairs[0].0], "{problems:?}");
        let text = problems[0].to_string();
        assert!(text.contains(part), "{text}");
    }
    assert!(from(&[("ingress.buffered_bytes_max", "1048576")]).is_ok());
    // Of a pair, and of a secret and its file, the first is named.
    for (key, value, named, part) in [
        (
            "ingress.tls_key_file",
            "/tls.key",
            "ingress.tls_certificate_file",
            "both or neither",
        ),
        ("redis.url_file", "/nowhere", "redis.url", "/nowhere"),
    ] {
        let problems = problems_of(&[(key, value)]);
        assert_eq!(keys_of(&problems), [named], "{problems:?}");
        assert!(problems[0].to_string().contains(part), "{problems:?}");
    }
}

#[test]
fn each_bad_sentinel_or_endpoint_is_one_problem() {
    for (key, value) in [
        ("redis.sentinels", "a.internal"),
        ("redis.sentinels", "a:0"),
        ("redis.sentinels", "::1:26379"),
        ("redis.sentinels", "redis://a:1"),
        ("redis.sentinels", ":1"),
        ("endpoints.Live.secrets", "x"),
        ("endpoints.a.b.secrets", "x"),
        ("endpoints.live.secret", "x"),
        ("endpoints.live.secrets", ""),
        ("endpoints.live", "x"),
        ("endpoints.live.diagnose_with", "x"),
    ] {
        let problems = problems_of(&[(key, value)]);
        assert_eq!(problems.len(), 1, "{key} {value}");
        assert!(key.starts_with(&problems[0].key), "{problems:?}");
    }
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
    let error = from(&bad).expect_err("these settings are invalid");
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
        let file = TextFile::new("invalid", text);
        let error = read_secrets_file(&file.0).unwrap_err();
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
    assert_eq!(keys_of(error.problems()), ["endpoints.live"]);
}

#[test]
fn a_later_layer_wins_and_a_variable_is_named_in_its_problem() {
    let key = "log.format";
    let mut layer = Layer::of_pairs([(key, "json")]);
    let form = layers::Form::Text("xml".to_owned());
    let origin = Origin::Environment(layers::variable_of(key));
    let given = BTreeMap::from([(key.to_owned(), layers::Given { form, origin })]);
    let problems = Vec::new();
    layer.extend(Layer { given, problems });
    let error = Settings::parse(layer).expect_err("xml is no format");
    let origins = error.problems().iter().map(|p| p.origin.to_string());
    assert_eq!(origins.collect::<Vec<_>>(), ["HARKARA__LOG__FORMAT"]);
}
