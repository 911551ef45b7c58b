mod admission;
mod text_file;
mod tls;

use std::collections::BTreeMap;
use std::time::Duration;

use harkara_core::endpoint::EndpointName;
use harkara_core::lane::Lane;
use harkara_core::secret::Secret;

use text_file::TextFile;

use super::catalogue::Kind;
use super::reader::Reader;
use super::{
    LogFormat, Origin, SecretsFileError, Settings, SettingsError, SettingsProblem, layers,
    read_secrets_file, reference_toml,
};

fn from(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_map(
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    )
}

fn problems_of(pairs: &[(&str, &str)]) -> Vec<SettingsProblem> {
    from(pairs)
        .expect_err("these settings are invalid")
        .problems()
        .to_vec()
}

fn from_toml(name: &str, text: &str) -> Result<Settings, SettingsError> {
    let file = TextFile::new(name, text);
    let mut problems = Vec::new();
    let given = layers::from_file(&file.0, &mut problems);
    Settings::parse(Reader::new(given, problems))
}

#[test]
fn defaults_are_complete_and_valid() {
    let settings = from(&[]).unwrap();
    assert_eq!(settings.redis.url.expose(), "redis://127.0.0.1:16379");
    assert_eq!(settings.ingress.bind.port(), 8080);
    assert_eq!(settings.ingress.body_bytes_max, 1024 * 1024);
    assert!(settings.ingress.threads >= 1);
    assert_eq!(settings.worker.claim_idle, Duration::from_mins(1));
    assert_eq!(settings.worker.lane_weights, [8, 4, 2, 1]);
    assert!(
        settings
            .worker
            .consumer
            .ends_with(&format!("-{}", std::process::id()))
    );
    assert_eq!(settings.log.format, LogFormat::Auto);
    assert!(settings.endpoints.is_empty());
}

#[test]
fn every_setting_of_the_catalogue_is_read() {
    for setting in super::catalogue::settings().filter(|s| !s.key.contains('<')) {
        let value = match setting.kind {
            Kind::Networks => "10.0.0.0/8",
            Kind::Servers => "a.internal:26379, [::1]:26380",
            // Empty is no file; any other must be there.
            Kind::PemFile => "",
            _ if setting.default.is_empty() => "x",
            _ => setting.default,
        };
        from(&[(setting.key, value)]).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn sentinels_are_hosts_with_ports_and_there_may_be_none() {
    assert!(from(&[]).unwrap().redis.sentinels.is_none());
    let sentinels = "a.internal:26379, [::1]:26380";
    let settings = from(&[("redis.sentinels", sentinels)]).unwrap();
    let sentinels = settings.redis.sentinels.unwrap();
    let expected = [("a.internal".to_owned(), 26379), ("::1".to_owned(), 26380)];
    assert_eq!(sentinels.addresses, expected);
    assert_eq!(sentinels.primary, "mymaster");
    assert!(sentinels.password.is_none());
    for wrong in ["a.internal", "a:0", "::1:26379", "redis://a:1", ":1"] {
        let problems = problems_of(&[("redis.sentinels", wrong)]);
        assert_eq!(problems[0].key, "redis.sentinels", "{wrong}");
    }
}

#[test]
fn all_problems_are_reported_together() {
    let problems = problems_of(&[
        ("ingress.bind", "somewhere"),
        ("ingress.body_bytes_max", "1 MiB"),
        ("redis.partition", "70000"),
        ("worker.lane_weights", "8,4,2,0"),
        ("log.format", "xml"),
        ("redis.urll", "redis://x"),
        ("lanes.paymnt", "critical"),
    ]);
    let keys: Vec<&str> = problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    for key in [
        "ingress.bind",
        "ingress.body_bytes_max",
        "redis.partition",
        "worker.lane_weights",
        "log.format",
        "redis.urll",
        "lanes.paymnt",
    ] {
        assert!(keys.contains(&key), "{key} not in {keys:?}");
    }
    assert_eq!(keys.len(), 7);
}

#[test]
fn a_problem_names_key_origin_value_and_expectation() {
    let problem = &problems_of(&[("log.format", "xml")])[0];
    let text = problem.to_string();
    assert_eq!(
        text,
        "log.format (set by the program): \"xml\" is not one of auto, json, pretty"
    );
}

#[test]
fn an_unknown_key_suggests_the_nearest_one() {
    let problem = &problems_of(&[("ingress.bnd", "0.0.0.0:1")])[0];
    assert!(
        problem.problem.contains("did you mean ingress.bind?"),
        "{problem}"
    );
}

#[test]
fn secrets_are_never_in_an_error_or_debug_output() {
    let problems = from(&[
        ("redis.url", "http://user:hunter2@host"),
        ("postgres.url", "mysql://user:hunter2@host"),
        ("endpoints.default.secrets", "hunter2,,"),
    ])
    .expect_err("these settings are invalid");
    assert_eq!(problems.problems().len(), 3);
    assert!(!format!("{problems} {problems:?}").contains("hunter2"));

    let settings = from(&[
        ("redis.url", "redis://user:hunter2@host"),
        ("postgres.url", "postgres://user:hunter2@host/db"),
        ("endpoints.default.secrets", "hunter2"),
    ])
    .unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn relations_between_settings_are_checked() {
    for (pairs, key) in [
        (
            &[
                ("worker.read_wait_ms", "60000"),
                ("worker.claim_idle_ms", "1000"),
                ("worker.consumer_idle_ms", "100000"),
            ][..],
            "worker.consumer_idle_ms",
        ),
        (
            &[("worker.backoff_max_ms", "10")][..],
            "worker.backoff_max_ms",
        ),
        (
            &[("worker.consumer_idle_ms", "60000")][..],
            "worker.consumer_idle_ms",
        ),
        (
            &[("worker.batch_entries_max", "3")][..],
            "worker.batch_entries_max",
        ),
    ] {
        let problems = problems_of(pairs);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].key, key);
    }
}

#[test]
fn endpoints_have_names_and_secrets() {
    let settings = from(&[
        ("endpoints.default.secrets", "new, old"),
        ("endpoints.live-2_a.secrets", "only"),
    ])
    .unwrap();
    let secrets = |name: &str| -> Vec<&str> {
        settings.endpoints[&EndpointName::parse(name).unwrap()]
            .secrets
            .iter()
            .map(Secret::expose)
            .collect()
    };
    assert_eq!(secrets("default"), ["new", "old"]);
    assert_eq!(secrets("live-2_a"), ["only"]);

    for (key, value) in [
        ("endpoints.Live.secrets", "x"),
        ("endpoints.a.b.secrets", "x"),
        ("endpoints.live.secret", "x"),
        ("endpoints.live.secrets", ""),
        ("endpoints.live", "x"),
        ("endpoints.live.diagnose_with", "x"),
    ] {
        assert_eq!(problems_of(&[(key, value)]).len(), 1, "{key}");
    }
}

#[test]
fn diagnosis_secrets_never_verify() {
    let api = TextFile::new("api", "of the api\n");
    let settings = from(&[
        ("endpoints.default.secrets", "webhook"),
        ("endpoints.default.diagnose_with_file", api.path()),
    ])
    .unwrap();
    let endpoint = &settings.endpoints[&EndpointName::default_name()];
    assert_eq!(endpoint.secrets, [Secret::new("webhook")]);
    assert_eq!(endpoint.secrets_file, None);
    assert_eq!(endpoint.diagnose_with, [Secret::new("of the api")]);
    let problems = problems_of(&[
        ("endpoints.default.secrets", "webhook"),
        ("endpoints.default.diagnose_with", "hunter2,,"),
    ]);
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].to_string().contains("hunter2"));
}

#[test]
fn a_secret_can_be_in_a_file() {
    let url = TextFile::new("url", "redis://:pass@host:1/2\n");
    let secrets = TextFile::new("secrets", "new\nold, older\n\n");
    let settings = from(&[
        ("redis.url_file", url.path()),
        ("endpoints.default.secrets_file", secrets.path()),
    ])
    .unwrap();
    assert_eq!(settings.redis.url.expose(), "redis://:pass@host:1/2");
    let endpoint = &settings.endpoints[&EndpointName::default_name()];
    let exposed = endpoint.secrets.iter().map(Secret::expose);
    assert_eq!(exposed.collect::<Vec<_>>(), ["new", "old", "older"]);
    // It is read again in the same way.
    assert_eq!(endpoint.secrets_file.as_deref(), Some(secrets.0.as_path()));
    assert_eq!(read_secrets_file(&secrets.0).unwrap(), endpoint.secrets);
}

#[test]
fn a_file_without_valid_secrets_gives_none_and_shows_nothing() {
    let large = "x".repeat(70_000);
    for text in ["", "\n\n", "hunter2\n\nhunter3", "hunter2,", &large] {
        let file = TextFile::new("unvalid", text);
        let error = read_secrets_file(&file.0).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    }
    let nowhere = read_secrets_file(std::path::Path::new("/nowhere/at/all"));
    assert!(matches!(nowhere, Err(SecretsFileError::Unreadable(_))));
}

#[test]
fn a_missing_secret_file_and_a_secret_given_twice_are_problems() {
    let problems = problems_of(&[("redis.url_file", "/nowhere/at/all")]);
    assert!(
        problems[0].to_string().contains("/nowhere/at/all"),
        "{problems:?}"
    );
    let problems = problems_of(&[
        ("redis.url", "redis://host"),
        ("redis.url_file", "/nowhere"),
    ]);
    assert!(problems[0].problem.contains("only one"), "{problems:?}");
}

#[test]
fn the_file_gives_numbers_lists_and_dotted_lane_names() {
    let settings = from_toml(
        "full.toml",
        r#"
            [ingress]
            body_bytes_max = 2048
            [worker]
            lane_weights = [4, 3, 2, 1]
            [lanes]
            "payment" = "normal"
            "payment.failed" = "critical"
            [endpoints.default]
            secrets = ["new", "old"]
        "#,
    )
    .unwrap();
    assert_eq!(settings.ingress.body_bytes_max, 2048);
    assert_eq!(settings.worker.lane_weights, [4, 3, 2, 1]);
    assert_eq!(
        settings.lanes.lane_of(Some("payment.failed")),
        Lane::Critical
    );
    assert_eq!(
        settings.lanes.lane_of(Some("payment.captured")),
        Lane::Normal
    );
    assert_eq!(
        settings.endpoints[&EndpointName::default_name()]
            .secrets
            .len(),
        2
    );
}

#[test]
fn an_endpoint_without_secrets_in_the_file_is_a_problem() {
    let problems =
        from_toml("no-secrets.toml", "[endpoints.live]\n[redis]\n").expect_err("no secrets");
    assert_eq!(problems.problems().len(), 1, "{problems}");
    assert_eq!(problems.problems()[0].key, "endpoints.live");
}

#[test]
fn a_broken_file_is_named_without_quoting_its_lines() {
    let problems =
        from_toml("broken.toml", "[endpoints.live]\nsecrets = [\"hunter2\n").expect_err("broken");
    let text = problems.to_string();
    assert!(text.contains("broken.toml"), "{text}");
    assert!(text.contains("line 2"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_missing_file_is_a_problem() {
    let problems =
        Settings::load(Some("/nowhere/harkara.toml".as_ref())).expect_err("there is no file");
    assert!(
        problems.to_string().contains("/nowhere/harkara.toml"),
        "{problems}"
    );
}

#[test]
fn a_later_layer_wins_and_a_variable_is_named_in_its_problem() {
    let variable = |key: &str| Origin::Environment(layers::variable_of(key));
    let mut given = layers::from_map(
        BTreeMap::from([
            ("log.level".to_owned(), "debug".to_owned()),
            ("log.format".to_owned(), "json".to_owned()),
        ]),
        &mut Vec::new(),
    );
    given.insert(
        "log.format".to_owned(),
        layers::Given {
            form: layers::Form::Text("xml".to_owned()),
            origin: variable("log.format"),
        },
    );
    let problems = Settings::parse(Reader::new(given, Vec::new())).expect_err("xml is no format");
    assert_eq!(
        problems.problems()[0].origin.to_string(),
        "HARKARA__LOG__FORMAT"
    );
}

#[test]
fn the_reference_file_is_itself_valid() {
    from_toml("reference.toml", &reference_toml()).unwrap_or_else(|problems| panic!("{problems}"));
    let uncommented: String = reference_toml()
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            (line.starts_with('[') || line.contains(" = ")).then(|| format!("{line}\n"))
        })
        .collect();
    from_toml("uncommented.toml", &uncommented).unwrap_or_else(|problems| panic!("{problems}"));
}
