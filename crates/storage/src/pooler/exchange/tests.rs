use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SETTINGS: &str = "SELECT set_config('a', 'b', true)";

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + body.len()).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

fn bind(name: &str, values: &str) -> Vec<u8> {
    message(b'B', format!("\0{name}\0{values}").as_bytes())
}

fn of_statement(kind: u8, name: &str) -> Vec<u8> {
    message(kind, format!("S{name}\0").as_bytes())
}

fn execute() -> Vec<u8> {
    message(b'E', b"\0\0\0\0\0")
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

/// The answers to the settings: a row with its end.
fn settings_set() -> Vec<u8> {
    [
        message(b'1', b""),
        message(b'2', b""),
        message(b'D', b"row"),
        message(b'C', b"SELECT 1\0"),
    ]
    .concat()
}

const INSERT: &str = "INSERT 1";

/// The driver executes what it has prepared.
fn run() -> Vec<u8> {
    [bind("s1", "values"), execute(), sync()].concat()
}

/// The same with the statement and without its name.
fn run_unnamed() -> Vec<u8> {
    [parse("", INSERT), bind("", "values"), execute(), sync()].concat()
}

/// The answer to an execution, before the server is ready.
fn executed() -> Vec<u8> {
    [message(b'2', b""), message(b'C', b"INSERT 0 1\0")].concat()
}

fn settings() -> Vec<u8> {
    extended(SETTINGS).to_vec()
}

/// What the driver sends, what goes through, what the server answers, and what the driver receives; each in parts.
type Step = [Vec<Vec<u8>>; 4];

/// A statement is prepared, and executed in a transaction and outside of one.
fn executions() -> [Step; 5] {
    let described = || {
        [
            message(b'1', b""),
            message(b't', b"\0\0"),
            message(b'n', b""),
        ]
        .concat()
    };
    let (notice, reported) = (message(b'N', b"notice"), message(b'S', b"a\0b\0"));
    let begun = || message(b'C', b"BEGIN\0");
    let row = || message(b'D', b"row");
    let parsed = || message(b'1', b"");
    [
        [
            vec![parse("s1", INSERT), of_statement(b'D', "s1"), sync()],
            vec![
                settings(),
                parse("", INSERT),
                of_statement(b'D', ""),
                sync(),
            ],
            vec![settings_set(), described(), ready(b'I')],
            vec![described(), ready(b'I')],
        ],
        [
            vec![query("BEGIN")],
            vec![query(&format!("{SETTINGS}; BEGIN"))],
            vec![
                message(b'T', b"columns"),
                row(),
                message(b'C', b"SELECT 1\0"),
                begun(),
                ready(b'T'),
            ],
            vec![begun(), ready(b'T')],
        ],
        // Two that are pipelined; the server tells something else in between.
        [
            vec![run(), run()],
            vec![run_unnamed(), run_unnamed()],
            vec![
                notice.clone(),
                parsed(),
                executed(),
                ready(b'T'),
                reported.clone(),
                parsed(),
                executed(),
                ready(b'T'),
            ],
            vec![
                notice,
                executed(),
                ready(b'T'),
                reported,
                executed(),
                ready(b'T'),
            ],
        ],
        [
            vec![query("COMMIT")],
            vec![query("COMMIT")],
            vec![ready(b'I')],
            vec![ready(b'I')],
        ],
        [
            vec![run()],
            vec![settings(), run_unnamed()],
            vec![settings_set(), parsed(), executed(), ready(b'I')],
            vec![executed(), ready(b'I')],
        ],
    ]
}

/// It fails and is closed, and others have no name.
fn other_units() -> [Step; 6] {
    let parsed = || message(b'1', b"");
    let failed = || vec![message(b'E', b"error"), ready(b'I')];
    let closed = || vec![message(b'3', b""), ready(b'I')];
    [
        // An error, after which the server skips the rest.
        [
            vec![run()],
            vec![settings(), run_unnamed()],
            [vec![parsed()], failed()].concat(),
            failed(),
        ],
        [
            vec![of_statement(b'C', "s1"), sync()],
            vec![of_statement(b'C', ""), sync()],
            closed(),
            closed(),
        ],
        // No longer known, so the server complains.
        [vec![run()], vec![run()], failed(), failed()],
        // What diesel sets for sessions.
        [
            vec![parse("s2", "SET TIME ZONE 'UTC'"), sync()],
            vec![settings(), parse("", ""), sync()],
            vec![settings_set(), parsed(), ready(b'I')],
            vec![parsed(), ready(b'I')],
        ],
        [
            vec![run_unnamed()],
            vec![settings(), run_unnamed()],
            vec![settings_set(), parsed(), executed(), ready(b'I')],
            vec![parsed(), executed(), ready(b'I')],
        ],
        [
            vec![message(b'X', b"")],
            vec![message(b'X', b"")],
            vec![],
            vec![],
        ],
    ]
}

proptest! {
    #[test]
    fn nothing_outlives_its_transaction_however_the_bytes_are_cut(sizes in vec(1..40_usize, 1..20)) {
        let mut sizes = sizes.iter().cycle();
        let mut pieces = |bytes: &[u8]| {
            let mut pieces = Vec::new();
            let mut rest = bytes;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                pieces.push(piece.to_vec());
                rest = after;
            }
            pieces
        };
        let mut exchange = Exchange::new(SETTINGS);
        for (n, step) in executions().into_iter().chain(other_units()).enumerate() {
            let [sent, expected_through, answered, expected_received] = step.map(|parts| parts.concat());
            let mut through = BytesMut::new();
            for piece in pieces(&sent) {
                exchange.send(&piece, &mut through);
            }
            prop_assert_eq!(&through[..], &expected_through[..], "sent in step {}", n);
            let (mut arrived, mut received) = (BytesMut::new(), BytesMut::new());
            for piece in pieces(&answered) {
                arrived.extend_from_slice(&piece);
                exchange.receive(&mut arrived, &mut received);
            }
            prop_assert_eq!(&received[..], &expected_received[..], "received in step {}", n);
        }
    }
}
