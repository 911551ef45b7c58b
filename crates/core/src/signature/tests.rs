use bytes::Bytes;
use proptest::prelude::*;

use super::{EndpointSecrets, InvalidSecrets, Refusal, sign, verify};
use crate::delivery::Delivery;
use crate::endpoint::EndpointName;
use crate::secret::Secret;
use crate::time::ReceivedAt;
use crate::trace::TraceContext;

fn delivery<'a>(body: &[u8], signature: Option<&'a [u8]>) -> Delivery<'a> {
    Delivery {
        endpoint: EndpointName::default_name(),
        event_id: None,
        signature,
        trace: TraceContext::default(),
        received_at: ReceivedAt::from_millis(1),
        body: Bytes::copy_from_slice(body),
    }
}

fn secrets(of: &[&str]) -> EndpointSecrets {
    prepared(of).unwrap()
}

fn prepared(of: &[&str]) -> Result<EndpointSecrets, InvalidSecrets> {
    EndpointSecrets::new(&of.iter().map(|s| Secret::new(*s)).collect::<Vec<_>>())
}

fn outcome(body: &[u8], signature: Option<&[u8]>, of: &[&str]) -> Result<usize, Refusal> {
    verify(delivery(body, signature), &secrets(of)).map(|v| v.secret_position())
}

/// RFC 4231, test case 2.
#[test]
fn the_hmac_is_the_standard_one() {
    assert_eq!(
        sign(&Secret::new("Jefe"), b"what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn any_live_secret_verifies_and_its_position_is_known() {
    let old = sign(&Secret::new("old"), b"{}");
    let upper_case = old.to_uppercase();
    for (header, secrets, expected) in [
        (&old, &["new", "old"][..], Ok(1)),
        (&upper_case, &["old"], Ok(0)),
        (&old, &["new"], Err(Refusal::NoMatch)),
    ] {
        assert_eq!(outcome(b"{}", Some(header.as_bytes()), secrets), expected);
    }
}

#[test]
fn a_refusal_names_its_reason() {
    let good = sign(&Secret::new("s"), b"x");
    let not_hex = good.replace(&good[..1], "z");
    for (body, header, refusal) in [
        ("x", None, Refusal::Missing),
        ("x", Some(""), Refusal::WrongLength),
        ("x", Some(&good[1..]), Refusal::WrongLength),
        ("x", Some(&not_hex), Refusal::NotHex),
        ("x ", Some(&good), Refusal::NoMatch),
    ] {
        let outcome = outcome(body.as_bytes(), header.map(str::as_bytes), &["s"]);
        assert_eq!(outcome, Err(refusal), "{header:?}");
    }
}

#[test]
fn unusable_secrets_are_refused() {
    assert_eq!(prepared(&[]).err(), Some(InvalidSecrets::None));
    assert_eq!(prepared(&["a", ""]).err(), Some(InvalidSecrets::Empty));
    assert_eq!(prepared(&["a"; 9]).err(), Some(InvalidSecrets::TooMany));
}

#[test]
fn without_a_header_the_event_id_is_the_digest_of_the_body() {
    let signature = sign(&Secret::new("s"), b"x");
    let verified = verify(delivery(b"x", Some(signature.as_bytes())), &secrets(&["s"]))
        .ok()
        .unwrap();
    assert_eq!(
        verified.event_id().as_str(),
        "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    );
}

proptest! {
    #[test]
    fn a_changed_byte_never_verifies(body in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let signature = sign(&Secret::new("s"), &body);
        let mut changed = body.clone();
        changed[at.index(body.len())] ^= flip;
        prop_assert_eq!(outcome(&body, Some(signature.as_bytes()), &["s"]), Ok(0));
        prop_assert_eq!(outcome(&changed, Some(signature.as_bytes()), &["s"]), Err(Refusal::NoMatch));
    }

    #[test]
    fn no_header_panics(header in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(outcome(b"body", Some(&header), &["s"]).is_err());
    }
}
