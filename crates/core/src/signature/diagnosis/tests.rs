use proptest::prelude::*;

use super::super::sign;
use super::{BODY_BYTES_MAX, Cause, Suspects, likely_cause};
use crate::endpoint::EndpointName;
use crate::secret::Secret;

/// The cause found for a body that was signed with `secret` as `signed`, and received as `received`.
fn cause(secret: &str, signed: &[u8], received: &[u8]) -> Cause {
    let elsewhere = EndpointName::parse("elsewhere").unwrap();
    let suspects = Suspects {
        live: &[Secret::new("new"), Secret::new("old")],
        retired: &[Secret::new("retired")],
        diagnose_with: &[Secret::new("api")],
        elsewhere: &[(elsewhere, vec![Secret::new("of another")])],
    };
    let signature = sign(&Secret::new(secret), signed);
    likely_cause(received, signature.as_bytes(), &suspects)
}

#[test]
fn the_secret_in_use_is_found() {
    let of = |secret| cause(secret, b"{}", b"{}");
    assert_eq!(of("retired"), Cause::RetiredSecret);
    assert_eq!(of("api"), Cause::DiagnosisSecret);
    let elsewhere = EndpointName::parse("elsewhere").unwrap();
    assert_eq!(of("of another"), Cause::OtherEndpoint(elsewhere));
    assert_eq!(of("anybody's"), Cause::Unknown);
}

#[test]
fn a_change_of_white_space_is_found() {
    for (signed, received) in [
        ("{}", "{}\n"),
        ("{}\n", "{}"),
        ("{}\r\n", "{}"),
        ("{}", " {}\t"),
        ("{}", "\u{feff}{}"),
        ("\u{feff}{}", "{}"),
        ("{\r\n}\r\n", "{\n}\n"),
        ("{\n}\n", "{\r\n}\r\n"),
    ] {
        let found = cause("old", signed.as_bytes(), received.as_bytes());
        assert_eq!(found, Cause::BodyWhitespace, "{signed:?} {received:?}");
    }
}

#[test]
fn rewritten_json_is_found() {
    let razorpay = r#"{"b":"https:\/\/x","a":"₹ 1","n":[1.50,null]}"#;
    for received in [
        r#"{"b":"https://x","a":"₹ 1","n":[1.50,null]}"#,
        r#"{"b":"https:\/\/x","a":"\u20b9 1","n":[1.50,null]}"#,
        "{\n  \"b\": \"https://x\",\n  \"a\": \"₹ 1\",\n  \"n\": [1.50, null]\n}",
    ] {
        let found = cause("new", razorpay.as_bytes(), received.as_bytes());
        assert_eq!(found, Cause::BodyReencoded, "{received}");
    }
    assert_eq!(
        cause("new", razorpay.as_bytes(), br#"{"a":1}"#),
        Cause::Unknown
    );
}

#[test]
fn large_bodies_and_malformed_signatures_are_not_examined() {
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    assert_eq!(cause("api", &large, &large), Cause::NotExamined);
    let nobody = Suspects {
        live: &[],
        retired: &[],
        diagnose_with: &[],
        elsewhere: &[],
    };
    assert_eq!(likely_cause(b"{}", b"no", &nobody), Cause::Unknown);
}

#[test]
fn every_cause_has_its_code_and_a_remedy() {
    let name = EndpointName::default_name();
    let all = [
        Cause::OtherEndpoint(name),
        Cause::RetiredSecret,
        Cause::DiagnosisSecret,
        Cause::BodyWhitespace,
        Cause::BodyReencoded,
        Cause::NotExamined,
        Cause::Unknown,
    ];
    assert_eq!(all.each_ref().map(Cause::code), Cause::CODES);
    assert!(all.iter().all(|cause| !cause.remedy().is_empty()));
}

proptest! {
    #[test]
    fn no_body_panics(body in "[\\[\\]{}:,\" \\\\/a1é]{0,60}", end in proptest::collection::vec(any::<u8>(), 0..4)) {
        let body = [body.as_bytes(), &end].concat();
        prop_assert_eq!(cause("anybody's", b"something else", &body), Cause::Unknown);
    }
}
