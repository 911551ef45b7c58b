//! TLS to Redis and PostgreSQL, and of the ingress.

use super::{TextFile, from, problems_of};

#[test]
fn tls_is_used_where_the_urls_ask_for_it() {
    let settings = from(&[]).unwrap();
    assert!(settings.redis.tls.is_none() && settings.postgres.tls.is_none());
    let settings = from(&[
        ("redis.url", "rediss://user:word@host:6380/3"),
        ("postgres.url", "postgres://host/db?sslmode=verify-full"),
    ])
    .unwrap();
    assert!(settings.redis.tls.is_some() && settings.postgres.tls.is_some());
    assert_eq!(settings.postgres.url.expose(), "postgres://host/db");
}

#[test]
fn tls_without_verification_is_refused() {
    let problem = &problems_of(&[("redis.url", "rediss://host/#insecure")])[0];
    assert!(problem.problem.contains("redis.ca_file"), "{problem}");
}

#[test]
fn certificate_files_are_checked_with_the_settings() {
    let empty = TextFile::new("empty.pem", "");
    for (key, url) in [
        ("redis.ca_file", ("redis.url", "rediss://host")),
        (
            "postgres.ca_file",
            ("postgres.url", "postgres://host/db?sslmode=require"),
        ),
    ] {
        let problem = &problems_of(&[(key, "/nowhere/ca.pem"), url])[0];
        assert_eq!(problem.key, key);
        assert!(
            problem.problem.contains("cannot read the file"),
            "{problem}"
        );
        let problem = &problems_of(&[(key, empty.path()), url])[0];
        assert!(
            problem.problem.contains("contains no certificate"),
            "{problem}"
        );
    }
    let problem = &problems_of(&[(
        "postgres.url",
        "postgres://u:word@host/db?sslrootcert=/nowhere/ca.pem",
    )])[0];
    assert!(problem.problem.contains("/nowhere/ca.pem"), "{problem}");
}

#[test]
fn half_a_pair_is_reported() {
    let problem = &problems_of(&[("ingress.tls_key_file", "/tls.key")])[0];
    assert_eq!(problem.key, "ingress.tls_certificate_file");
    assert!(problem.problem.contains("both or neither"), "{problem}");
}
