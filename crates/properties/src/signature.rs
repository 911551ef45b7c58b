use bytes::Bytes;
use harkara_core::delivery::{Delivery, SIGNATURE_HEX_BYTES, VerifiedDelivery};
use harkara_core::endpoint::EndpointName;
use harkara_core::ids::EventId;
use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, Refusal, sign, verify};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;

/// The live secrets, newest first.
pub(crate) const SECRETS: [&str; 2] = ["newest", "older"];

/// What ends the header in the input.
pub(crate) const HEADER_END: u8 = b'\n';

/// A header is accepted if and only if it is the HMAC of the body under a live secret, in hex of either
/// case, and a refused one is refused for its form alone or for matching nothing.
///
/// The input is a header, `HEADER_END` and a body.
pub fn signature(input: &[u8]) {
    let end = input.iter().position(|&byte| byte == HEADER_END);
    let (header, body) = match end {
        Some(end) => (Some(&input[..end]), &input[end + 1..]),
        None => (None, input),
    };
    match (verified(header, body), expected(header, body)) {
        (Ok(delivery), Ok(position)) => holds_what_was_signed(&delivery, position, body),
        (Err(refusal), Err(expected)) => assert_eq!(refusal, expected),
        (outcome, expected) => panic!("{:?} but {expected:?} was right", outcome.err()),
    }
    for (position, secret) in SECRETS.iter().enumerate() {
        let right = sign(&Secret::new(*secret), body);
        for header in [right.clone(), right.to_ascii_uppercase()] {
            let delivery = verified(Some(header.as_bytes()), body).unwrap_or_else(|refusal| {
                panic!("a right signature was refused: {refusal}");
            });
            holds_what_was_signed(&delivery, position, body);
        }
        let mut wrong = right.into_bytes();
        let at = input.len() % SIGNATURE_HEX_BYTES;
        wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
        let refusal = verified(Some(&wrong), body).err();
        assert_eq!(refusal, Some(Refusal::NoMatch));
    }
}

fn verified(header: Option<&[u8]>, body: &[u8]) -> Result<VerifiedDelivery, Refusal> {
    let delivery = Delivery {
        endpoint: EndpointName::default_name(),
        event_id: None,
        signature: header,
        trace: TraceContext::default(),
        received_at: ReceivedAt::from_millis(0),
        body: Bytes::copy_from_slice(body),
    };
    let secrets = EndpointSecrets::new(&SECRETS.map(Secret::new)).expect("the secrets are sound");
    verify(delivery, &secrets)
}

/// The position of the secret that matches, said in the plainest way.
fn expected(header: Option<&[u8]>, body: &[u8]) -> Result<usize, Refusal> {
    let header = header.ok_or(Refusal::Missing)?;
    if header.len() != SIGNATURE_HEX_BYTES {
        return Err(Refusal::WrongLength);
    }
    if !header.iter().all(u8::is_ascii_hexdigit) {
        return Err(Refusal::NotHex);
    }
    SECRETS
        .iter()
        .position(|secret| {
            sign(&Secret::new(*secret), body)
                .as_bytes()
                .eq_ignore_ascii_case(header)
        })
        .ok_or(Refusal::NoMatch)
}

fn holds_what_was_signed(delivery: &VerifiedDelivery, position: usize, body: &[u8]) {
    assert_eq!(delivery.secret_position(), position);
    assert_eq!(delivery.body(), body);
    assert_eq!(
        delivery.signature(),
        sign(&Secret::new(SECRETS[position]), body)
    );
    assert_eq!(*delivery.event_id(), EventId::of_body(body));
}
