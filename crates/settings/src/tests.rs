mod passwords;
mod problems;

use std::collections::BTreeMap;
use std::time::Duration;

use harkara_core::endpoint::EndpointName;
use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_core::secret::Secret;
use tempfile::NamedTempFile;

use super::layers::{self, Layer};
use super::{LogFormat, Settings, SettingsError, read_secrets_file, reference_toml};

fn from(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_pairs(pairs.iter().copied())
}

fn from_toml(name: &str, text: &str) -> Result<Settings, SettingsError> {
    Settings::parse(Layer::of_file(text_file(name, text).path()))
}

/// A file that is gone when the test is, and whose name ends like this.
fn text_file(name: &str, text: &str) -> NamedTempFile {
    let file = tempfile::Builder::new().suffix(name).tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn path_of(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

fn exposed(secrets: &[Secret]) -> Vec<&str> {
    secrets.iter().map(Secret::expose).collect()
}

#[test]
fn defaults_are_complete_and_valid() {
    let settings = from(&[]).unwrap();
    assert_eq!(
        settings.redis.url.current().expose(),
        "redis://127.0.0.1:16379"
    );
    assert_eq!(settings.redis.keys, RedisKeys::default());
    assert_eq!(settings.deployment.to_string(), "harkara");
    assert!(settings.redis.sentinels.is_none());
    assert!(settings.redis.tls.is_none() && settings.postgres.tls.is_none());
    assert_eq!(settings.ingress.bind.port(), 8080);
    assert_eq!(settings.ingress.body_bytes_max, 1024 * 1024);
    assert!(settings.ingress.threads >= 1);
    assert_eq!(settings.ingress.address_rate, None);
    assert_eq!(settings.worker.claim_idle, Duration::from_mins(1));
    assert_eq!(settings.worker.lane_weights, [8, 4, 2, 1]);
    let consumer = &settings.worker.consumer;
    assert!(consumer.ends_with(&format!("-{}", std::process::id())));
    assert_eq!(settings.log.format, LogFormat::Auto);
    assert!(settings.endpoints.is_empty());
}

#[test]
fn the_prefix_and_the_partition_are_in_every_key() {
    let settings = from(&[("redis.prefix", "team-a:live"), ("redis.partition", "7")]).unwrap();
    let stream = settings.redis.keys.stream(Lane::Critical);
    assert_eq!(stream, "team-a:live:{7}:critical");
}

#[test]
fn sentinels_are_hosts_with_ports() {
    let settings = from(&[("redis.sentinels", "a.internal:26379, [::1]:26380")]).unwrap();
    let sentinels = settings.redis.sentinels.unwrap();
    let expected = [("a.internal".to_owned(), 26379), ("::1".to_owned(), 26380)];
    assert_eq!(sentinels.addresses, expected);
    assert_eq!(sentinels.primary, "mymaster");
    assert!(sentinels.password.is_none());
}

#[test]
fn tls_is_used_where_the_urls_ask_for_it() {
    let settings = from(&[
        ("redis.url", "rediss://user:word@host:6380/3"),
        ("postgres.url", "postgres://host/db?sslmode=verify-full"),
    ])
    .unwrap();
    assert!(settings.redis.tls.is_some() && settings.postgres.tls.is_some());
    assert_eq!(
        settings.postgres.url.current().expose(),
        "postgres://host/db"
    );
}

#[test]
fn a_burst_of_0_is_one_second() {
    let settings = from(&[
        ("ingress.address_requests_per_s", "50"),
        ("ingress.endpoint_requests_per_s", "10"),
        ("ingress.endpoint_requests_burst", "30"),
    ])
    .unwrap();
    let ingress = &settings.ingress;
    let rates = [ingress.address_rate, ingress.endpoint_rate];
    let rates = rates.map(|rate| rate.map(|rate| (rate.per_s.get(), rate.burst.get())));
    assert_eq!(rates, [Some((50, 50)), Some((10, 30))]);
}

#[test]
fn endpoints_have_names_and_secrets() {
    let settings = from(&[
        ("endpoints.default.secrets", "new, old"),
        ("endpoints.live-2_a.secrets", "only"),
    ])
    .unwrap();
    for (name, secrets) in [("default", &["new", "old"][..]), ("live-2_a", &["only"])] {
        let endpoint = &settings.endpoints[&EndpointName::parse(name).unwrap()];
        assert_eq!(exposed(&endpoint.secrets), secrets);
    }
}

#[test]
fn diagnosis_secrets_never_verify() {
    let api = text_file("api", "of the api\n");
    let settings = from(&[
        ("endpoints.default.secrets", "webhook"),
        ("endpoints.default.diagnose_with_file", path_of(&api)),
    ])
    .unwrap();
    let endpoint = &settings.endpoints[&EndpointName::default_name()];
    assert_eq!(exposed(&endpoint.secrets), ["webhook"]);
    assert_eq!(endpoint.secrets_file, None);
    assert_eq!(exposed(&endpoint.diagnose_with), ["of the api"]);
}

#[test]
fn a_secret_can_be_in_a_file() {
    let url = text_file("url", "redis://:pass@host:1/2\n");
    let secrets = text_file("secrets", "new\nold, older\n\n");
    let settings = from(&[
        ("redis.url_file", path_of(&url)),
        ("endpoints.default.secrets_file", path_of(&secrets)),
    ])
    .unwrap();
    assert_eq!(
        settings.redis.url.current().expose(),
        "redis://:pass@host:1/2"
    );
    let endpoint = &settings.endpoints[&EndpointName::default_name()];
    assert_eq!(exposed(&endpoint.secrets), ["new", "old", "older"]);
    // It is read again in the same way.
    assert_eq!(endpoint.secrets_file.as_deref(), Some(secrets.path()));
    assert_eq!(read_secrets_file(secrets.path()).unwrap(), endpoint.secrets);
}

#[test]
fn numbers_lists_and_dotted_lane_names_are_read_from_a_file() {
    let settings = from_toml(
        "full.toml",
        r#"
            [ingress]
            body_bytes_max = 2048
            trusted_proxies = ["192.0.2.1"]
            [worker]
            lane_weights = [4, 3, 2, 1]
            [lanes]
            "payment" = "normal"
            "payment.failed" = "critical"
            [endpoints.default]
            secrets = ["new", "old"]
            allow = ["razorpay", "10.0.0.0/8"]
            [endpoints.open]
            secrets = ["b"]
        "#,
    )
    .unwrap();
    let Settings {
        ingress,
        worker,
        lanes,
        endpoints,
        ..
    } = settings;
    assert_eq!(ingress.body_bytes_max, 2048);
    assert!(
        ingress
            .trusted_proxies
            .contains("192.0.2.1".parse().unwrap())
    );
    assert_eq!(worker.lane_weights, [4, 3, 2, 1]);
    assert_eq!(lanes.lane_of(Some("payment.failed")), Lane::Critical);
    assert_eq!(lanes.lane_of(Some("payment.captured")), Lane::Normal);
    assert_eq!(endpoints.len(), 2);
    let open = &endpoints[&EndpointName::parse("open").unwrap()];
    assert!(open.allow.is_none());
    let default = &endpoints[&EndpointName::default_name()];
    assert_eq!(exposed(&default.secrets), ["new", "old"]);
    let allow = default.allow.as_ref().unwrap();
    for (address, is_allowed) in [
        ("52.66.76.63", true),
        ("10.9.9.9", true),
        ("192.0.2.1", false),
    ] {
        assert_eq!(
            allow.contains(address.parse().unwrap()),
            is_allowed,
            "{address}"
        );
    }
}

#[test]
fn every_setting_of_the_reference_is_read() {
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

#[test]
fn a_file_may_change_the_login_but_not_where_it_leads() {
    for (key, before, login, others) in [
        (
            "redis.url_file",
            "redis://a:1@db",
            "redis://b:2@db",
            &["redis://b:2@db/1", "rediss://b:2@db"][..],
        ),
        (
            "postgres.url_file",
            "postgres://a:1@db/ledger",
            "postgres://b:2@db/ledger",
            &[
                "postgres://b:2@db/restored",
                "postgres://b:2@db/ledger?sslmode=verify-full",
                "postgres://b:2@db/ledger?schema=x",
            ],
        ),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |url: &str| std::fs::write(file.path(), url).unwrap();
        write(before);
        let settings = Settings::from_pairs([(key, path_of(&file))]).unwrap();
        let current = || match key {
            "redis.url_file" => settings.redis.url.current(),
            _ => settings.postgres.url.current(),
        };
        write(login);
        assert_eq!(current().expose(), login);
        for other in others {
            write(other);
            assert_eq!(current().expose(), login, "{other}");
        }
    }
}
