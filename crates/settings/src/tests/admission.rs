//! Allowed senders, rate limits and memory bounds.

use harkara_core::endpoint::EndpointName;

use super::{from, from_toml, problems_of};

#[test]
fn an_endpoint_can_be_restricted_to_addresses() {
    let settings = from_toml(
        "allow.toml",
        "[endpoints.default]\nsecrets = [\"a\"]\nallow = [\"razorpay\", \"10.0.0.0/8\"]\n\
         [endpoints.open]\nsecrets = [\"b\"]\n[ingress]\ntrusted_proxies = [\"192.0.2.1\"]\n",
    )
    .unwrap();
    assert_eq!(settings.endpoints.len(), 2);
    let allow_of = |name| {
        let name = EndpointName::parse(name).unwrap();
        settings.endpoints[&name].allow.as_ref()
    };
    assert!(allow_of("open").is_none());
    let allow = allow_of("default").unwrap();
    assert!(allow.contains("52.66.76.63".parse().unwrap()));
    assert!(allow.contains("10.9.9.9".parse().unwrap()));
    assert!(!allow.contains("192.0.2.1".parse().unwrap()));
    let proxies = &settings.ingress.trusted_proxies;
    assert!(proxies.contains("192.0.2.1".parse().unwrap()));
}

#[test]
fn invalid_addresses_and_an_allow_without_secrets_are_reported() {
    let problems = problems_of(&[
        ("endpoints.default.secrets", "a"),
        ("endpoints.default.allow", "10.0.0.0/99"),
        ("endpoints.empty.secrets", "a"),
        ("endpoints.empty.allow", ""),
        ("endpoints.nobody.allow", "razorpay"),
        ("ingress.trusted_proxies", "razorpay"),
    ]);
    let keys: Vec<&str> = problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "ingress.trusted_proxies",
            "endpoints.default.allow",
            "endpoints.empty.allow",
            "endpoints.nobody"
        ]
    );
}

#[test]
fn a_rate_of_0_is_no_limit_and_a_burst_of_0_is_one_second() {
    assert_eq!(from(&[]).unwrap().ingress.address_rate, None);
    let settings = from(&[
        ("ingress.address_requests_per_s", "50"),
        ("ingress.endpoint_requests_per_s", "10"),
        ("ingress.endpoint_requests_burst", "30"),
    ])
    .unwrap();
    let rates = [
        settings.ingress.address_rate,
        settings.ingress.endpoint_rate,
    ];
    let rates = rates.map(|rate| rate.map(|rate| (rate.per_s.get(), rate.burst.get())));
    assert_eq!(rates, [Some((50, 50)), Some((10, 30))]);
}

#[test]
fn buffered_bytes_must_hold_the_largest_body() {
    let problems = problems_of(&[("ingress.buffered_bytes_max", "1048575")]);
    assert_eq!(problems[0].key, "ingress.buffered_bytes_max");
    assert!(from(&[("ingress.buffered_bytes_max", "1048576")]).is_ok());
}
