//! TLS to Redis and PostgreSQL, and of the ingress.

use super::{TextFile, faults_of, from};

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
fn tls_that_verifies_nobody_is_refused() {
    let fault = &faults_of(&[("redis.url", "rediss://host/#insecure")])[0];
    assert!(fault.problem.contains("redis.ca_file"), "{fault}");
}

#[test]
fn files_of_certificates_are_checked_with_the_settings() {
    let empty = TextFile::new("empty.pem", "");
    for (key, url) in [
        ("redis.ca_file", ("redis.url", "rediss://host")),
        (
            "postgres.ca_file",
            ("postgres.url", "postgres://host/db?sslmode=require"),
        ),
    ] {
        let fault = &faults_of(&[(key, "/nowhere/ca.pem"), url])[0];
        assert_eq!(fault.key, key);
        assert!(fault.problem.contains("cannot be read"), "{fault}");
        let fault = &faults_of(&[(key, empty.path()), url])[0];
        assert!(fault.problem.contains("holds no certificate"), "{fault}");
    }
    let fault = &faults_of(&[(
        "postgres.url",
        "postgres://u:word@host/db?sslrootcert=/nowhere/ca.pem",
    )])[0];
    assert!(fault.problem.contains("/nowhere/ca.pem"), "{fault}");
}

#[test]
fn halves_of_a_pair_are_told() {
    let fault = &faults_of(&[("ingress.tls_key_file", "/tls.key")])[0];
    assert_eq!(fault.key, "ingress.tls_certificate_file");
    assert!(fault.problem.contains("both or neither"), "{fault}");
}
