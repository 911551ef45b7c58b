use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + body.len()).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn start(announced: Option<i32>) -> Vec<u8> {
    let key = announced.map(|id| message(b'K', &[id.to_be_bytes(), [7; 4]].concat()));
    [
        message(b'R', &[0; 4]),
        message(b'S', b"a\0b\0"),
        key.unwrap_or_default(),
        message(b'Z', b"I"),
    ]
    .concat()
}

fn answer(id: &str) -> Vec<u8> {
    let length = u32::try_from(id.len()).unwrap();
    let row = [&[0, 1][..], &length.to_be_bytes(), id.as_bytes()].concat();
    let reported = message(b'S', b"c\0d\0");
    [
        message(b'T', b"column"),
        message(b'D', &row),
        message(b'C', b"SELECT 1\0"),
        reported,
        message(b'Z', b"I"),
    ]
    .concat()
}

/// Whether a pooler is found in the messages of a start and the answer, byte by byte.
fn finds_pooler(start: &[u8], answer: &[u8]) -> bool {
    let mut startup = Startup::asking();
    let (mut ready, mut unsent) = (BytesMut::new(), BytesMut::new());
    let mut arrived = BytesMut::new();
    let mut made = None;
    for (n, byte) in start.iter().chain(answer).enumerate() {
        assert!(made.is_none(), "before byte {n}");
        arrived.extend_from_slice(&[*byte]);
        if let Step::Made { is_pooled } = startup.receive(&mut arrived, &mut ready, &mut unsent) {
            made = Some(is_pooled);
        }
        // The driver does not learn that the connection is ready before the answer.
        assert_eq!(unsent.is_empty(), n + 1 < start.len());
    }
    assert_eq!(unsent, QUESTION);
    let for_driver = start[..start.len() - 6].to_vec();
    assert!(ready.starts_with(&for_driver) && ready.ends_with(&message(b'Z', b"I")));
    made.unwrap()
}

#[test]
fn another_process_than_the_announced_one_is_a_pooler() {
    let failed = [message(b'E', b"error"), message(b'Z', b"I")].concat();
    for (announced, answered, is_pooled) in [
        (Some(4711), answer("4711"), false),
        (Some(4711), answer("4712"), true),
        (Some(-4711), answer("4711"), true),
        // What is not known may be one.
        (None, answer("4711"), true),
        (Some(4711), answer("?"), true),
        (Some(4711), failed, true),
    ] {
        assert_eq!(
            finds_pooler(&start(announced), &answered),
            is_pooled,
            "{announced:?}"
        );
    }
}

#[test]
fn one_that_is_known_is_not_asked_for() {
    let (mut ready, mut unsent) = (BytesMut::new(), BytesMut::new());
    let mut arrived = BytesMut::from(&start(Some(1))[..]);
    let step = Startup::knowing().receive(&mut arrived, &mut ready, &mut unsent);
    assert!(matches!(step, Step::Made { is_pooled: true }));
    assert_eq!((&ready[..], unsent.len()), (&start(Some(1))[..], 0));
}
