//! No part of a password is shown, whatever URL it is in.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use redis::IntoConnectionInfo;
use tokio_postgres::Config;

use super::*;

/// A shorter part of a password may be in any text by chance.
const PART_CHARS: usize = 4;

/// Letters that no message has in a row, and what has a meaning in URLs.
const CHARACTERS: &[u8] = b"QXZJKWVqxzjkwv@/#?:+=&!~%[]\\ ,;'\"";

fn passwords() -> impl Strategy<Value = String> {
    let characters = vec(select(CHARACTERS.to_vec()), PART_CHARS..24);
    characters.prop_map(|bytes| bytes.into_iter().map(char::from).collect())
}

/// A part of the password that a text shows.
fn shown_part(text: &str, password: &str) -> Option<String> {
    let characters: Vec<char> = password.chars().collect();
    let mut parts = characters.windows(PART_CHARS).map(String::from_iter);
    parts.find(|part| text.contains(part))
}

fn encoded(password: &str) -> String {
    utf8_percent_encode(password, NON_ALPHANUMERIC).to_string()
}

/// URLs with a password, as an operator may write them.
fn urls(password: &str) -> [(&'static str, String); 7] {
    [
        (
            "redis.url",
            format!("redis://keeper:{password}@host:6379/3"),
        ),
        ("redis.url", format!("rediss://:{password}@host")),
        ("redis.url", format!("redis://{password}@host/1")),
        (
            "postgres.url",
            format!("postgres://keeper:{password}@host:5432/ledger"),
        ),
        (
            "postgres.url",
            format!("postgresql://keeper:{password}@one,two/ledger?connect_timeout=3"),
        ),
        (
            "postgres.url",
            format!("postgres://host/ledger?user=keeper&password={password}"),
        ),
        ("postgres.url", format!("postgres://{password}")),
    ]
}

/// The password that the driver reads in the URL of accepted settings.
fn read_by_driver(key: &str, settings: &Settings) -> Option<Vec<u8>> {
    if key == "postgres.url" {
        let config: Config = settings.postgres.url.current().expose().parse().unwrap();
        return config.get_password().map(<[u8]>::to_vec);
    }
    let info = settings
        .redis
        .url
        .current()
        .expose()
        .into_connection_info()
        .unwrap();
    info.redis_settings()
        .password()
        .map(|password| password.as_bytes().to_vec())
}

proptest! {
    #[test]
    fn no_url_shows_a_part_of_its_password(password in passwords()) {
        for text in [password.clone(), encoded(&password)] {
            for (key, url) in urls(&text) {
                let shown = match from(&[(key, &url)]) {
                    Ok(settings) => format!("{settings:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                prop_assert_eq!(shown_part(&shown, &password), None, "{} in {}", url, shown);
            }
        }
    }

    #[test]
    fn the_driver_reads_the_password_that_was_meant(password in passwords()) {
        let with_password = |text: &str| {
            let [one, two, _, three, four, in_query, _] = urls(text);
            [one, two, three, four, in_query]
        };
        for (key, url) in with_password(&encoded(&password)) {
            let read = read_by_driver(key, &from(&[(key, &url)]).unwrap());
            prop_assert_eq!(read.as_deref(), Some(password.as_bytes()), "{}", url);
        }
        // As it is, it is refused unless it means the same. (In a query, `&` begins another parameter.)
        for (key, url) in with_password(&password).into_iter().take(4) {
            if let Ok(settings) = from(&[(key, &url)]) {
                let read = read_by_driver(key, &settings);
                prop_assert_eq!(read.as_deref(), Some(password.as_bytes()), "{}", url);
            }
        }
    }

    #[test]
    fn a_url_in_place_of_another_value_shows_nothing(password in passwords()) {
        for (_, url) in urls(&password) {
            for key in ["redis.sentinels", "ingress.bind", "log.format", "redis.partition", "ingress.trusted_proxies"] {
                let error = from(&[(key, &url)]).unwrap_err();
                let shown = format!("{error} {error:?}");
                prop_assert_eq!(shown_part(&shown, &password), None, "{} in {}", url, shown);
            }
        }
    }
}

#[test]
fn an_ambiguous_url_is_refused_with_the_remedy() {
    for url in [
        "postgres://neon:Zk8/q2+Lr==@db.example/ledger",
        "postgres://app:S3cret@Tail-9x@127.0.0.1/ledger",
        "postgres://app:se#cret@127.0.0.1/ledger",
        "postgres://app:se?cret@127.0.0.1/ledger",
        "postgres://app:se cret@127.0.0.1/ledger",
        "postgres://127.0.0.1/ledger?password=se#cret",
        "redis://:S3cret@Tail-9x@127.0.0.1",
        "redis://:Zk8/q2@127.0.0.1",
        "redis://:se#cret@127.0.0.1",
    ] {
        let key = url
            .split("://")
            .next()
            .map(|scheme| format!("{scheme}.url"));
        let error = from(&[(&key.unwrap(), url)]).unwrap_err().to_string();
        assert!(
            error.contains("percent-encode") && error.contains("%40"),
            "{error}"
        );
    }
    assert!(
        from(&[(
            "postgres.url",
            "postgres://a:b%40c@h/d?options=-c a=b&sslrootcert=system"
        )])
        .is_ok()
    );
}
