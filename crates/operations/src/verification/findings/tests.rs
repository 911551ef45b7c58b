use harkara_storage::ledger::{Change, EventStatus};
use harkara_storage::verification::{
    DuplicateChange, Identity, MergedRow, MergedTable, StoredEvent,
};

use super::{Expected, FAULTS_MAX, Findings, Sent, Verification};

fn delivery(id: &str, digest: u8, expected: Expected) -> Sent<'_> {
    Sent {
        event_id: id,
        body: b"",
        digest: [digest; 32],
        expected,
    }
}

fn sent(id: &str, digest: u8) -> Sent<'_> {
    delivery(id, digest, Expected::Stored)
}

fn unanswered(id: &str, digest: u8) -> Sent<'_> {
    delivery(id, digest, Expected::Unknown)
}

fn bad(id: &str, digest: u8) -> Sent<'_> {
    delivery(id, digest, Expected::Nothing)
}

fn stored(id: &str, digest: u8) -> StoredEvent {
    StoredEvent {
        event_id: id.to_owned(),
        status: EventStatus::Processed,
        durability: Some("fsynced".to_owned()),
        digest: [digest; 32].to_vec(),
        digest_is_right: true,
    }
}

fn identity(id: &str, digest: u8) -> Identity {
    Identity {
        event_id: id.to_owned(),
        digest: [digest; 32].to_vec(),
    }
}

/// `lost`, `altered`, `doubled`, `refused_stored`, `unprocessed`.
fn counts(found: &Verification) -> [usize; 5] {
    [
        found.lost,
        found.altered,
        found.doubled,
        found.refused_stored,
        found.unprocessed,
    ]
}

/// What is found in the ledger, and which deliveries must have had their effects.
fn ledger(sent: &[Sent<'_>], rows: &[StoredEvent]) -> (Verification, Vec<String>) {
    let mut findings = Findings::default();
    let processed = findings.compare_ledger(sent, rows);
    let processed = processed.iter().map(|sent| sent.event_id.to_owned());
    let processed = processed.collect();
    (findings.finish(), processed)
}

fn sentences(found: &Verification) -> Vec<&str> {
    found
        .faults
        .iter()
        .map(|fault| fault.sentence.as_str())
        .collect()
}

fn found(compare: impl FnOnce(&mut Findings)) -> Verification {
    let mut findings = Findings::default();
    compare(&mut findings);
    findings.finish()
}

#[test]
fn accepted_and_stored_is_clean_whatever_became_of_what_got_no_answer() {
    let deliveries = [sent("a", 1), unanswered("b", 2), bad("c", 3)];
    let (without, processed) = ledger(&deliveries, &[stored("a", 1)]);
    assert!(without.is_clean());
    assert_eq!((without.stored, processed), (1, vec!["a".to_owned()]));
    let (with, processed) = ledger(&deliveries, &[stored("b", 2), stored("a", 1)]);
    assert!(with.is_clean());
    assert_eq!(
        (with.stored, processed),
        (2, vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(with.durability["fsynced"], 2);
}

#[test]
fn what_was_accepted_and_is_not_there_is_lost() {
    let (audit, processed) = ledger(&[sent("a", 1), sent("b", 2)], &[stored("b", 2)]);
    assert_eq!(counts(&audit), [1, 0, 0, 0, 0]);
    assert_eq!(
        sentences(&audit),
        ["a was accepted and is not in the ledger"]
    );
    assert_eq!(processed, ["b"]);
}

#[test]
fn other_bytes_are_altered_also_where_nobody_was_told_that_they_are_there() {
    let other_digest = StoredEvent {
        digest_is_right: false,
        ..stored("b", 2)
    };
    let deliveries = [unanswered("a", 1), sent("b", 2)];
    let (audit, processed) = ledger(&deliveries, &[stored("a", 9), other_digest]);
    assert_eq!(counts(&audit), [0, 2, 0, 0, 0]);
    assert!(processed.is_empty());
}

#[test]
fn a_second_row_is_doubled() {
    let (audit, processed) = ledger(&[sent("a", 1)], &[stored("a", 1), stored("a", 1)]);
    assert_eq!(counts(&audit), [0, 0, 1, 0, 0]);
    assert_eq!(processed, ["a"], "its effects are still those of one event");
}

#[test]
fn a_row_that_waits_or_failed_is_unprocessed() {
    for status in [EventStatus::Pending, EventStatus::Failed] {
        let row = StoredEvent {
            status,
            ..stored("a", 1)
        };
        let (audit, processed) = ledger(&[sent("a", 1)], &[row]);
        assert_eq!(counts(&audit), [0, 0, 0, 0, 1]);
        assert!(processed.is_empty());
    }
}

#[test]
fn what_was_badly_signed_must_have_left_no_row_no_identity_and_no_effect() {
    let (audit, processed) = ledger(&[bad("a", 1)], &[stored("a", 1)]);
    assert_eq!(counts(&audit), [0, 0, 0, 1, 0]);
    assert!(processed.is_empty());
    let audit = found(|findings| {
        findings.compare_ledger(&[bad("a", 1)], &[stored("a", 1)]);
        findings.compare_identities(&[bad("a", 1)], &[identity("a", 1)]);
    });
    assert_eq!(counts(&audit), [0, 0, 0, 1, 0], "one delivery is one fault");
    let change = Change {
        razorpay_event_id: "a".to_owned(),
        table_name: "payment_orders".to_owned(),
        entity_id: "order_1".to_owned(),
        from_status: None,
        to_status: Some("paid".to_owned()),
    };
    let audit = found(|findings| findings.compare_refused(&[change]));
    assert_eq!(
        sentences(&audit),
        ["a was badly signed and has changed payment_orders"]
    );
}

#[test]
fn a_body_under_another_id_and_a_second_body_under_an_id_are_doubled() {
    let deliveries = [sent("a", 1), sent("b", 2)];
    let clean = found(|findings| {
        findings.compare_identities(&deliveries, &[identity("a", 1), identity("b", 2)]);
    });
    assert!(clean.is_clean());
    let audit = found(|findings| {
        findings.compare_identities(&deliveries, &[identity("x", 1), identity("b~12", 9)]);
    });
    assert_eq!(counts(&audit), [0, 0, 2, 0, 0]);
    let audit = found(|findings| {
        findings.compare_bodies(&deliveries, &[[2; 32].to_vec(), [7; 32].to_vec()]);
    });
    assert_eq!(
        counts(&audit),
        [0, 0, 1, 0, 0],
        "others' bodies do not matter"
    );
}

#[test]
fn a_change_that_is_told_twice_is_doubled() {
    let change = DuplicateChange {
        event_id: "a".to_owned(),
        entity_type: "payment".to_owned(),
        entity_id: "pay_1".to_owned(),
        rows: 2,
    };
    let audit = found(|findings| findings.compare_changes(&[change]));
    assert_eq!(counts(&audit), [0, 0, 1, 0, 0]);
    assert_eq!(
        sentences(&audit),
        ["2 rows of audit_logs record the change of payment pay_1 by a"]
    );
}

#[test]
fn a_merged_row_that_differs_in_anything_or_is_missing_is_doubled() {
    let expected = MergedRow {
        entity_type: String::new(),
        entity_id: "pay_1".to_owned(),
        status: Some("refunded".to_owned()),
        last_event_id: "b".to_owned(),
        precedence: 5,
        grown: vec![Some(100)],
        refund_status: Some("full".to_owned()),
        is_audited: true,
    };
    let compared = |rows: &[MergedRow]| {
        found(|findings| {
            let expected = std::slice::from_ref(&expected);
            findings.compare_merged(MergedTable::Payments, expected, rows);
        })
    };
    assert!(compared(std::slice::from_ref(&expected)).is_clean());
    let others = [
        MergedRow {
            status: Some("captured".to_owned()),
            ..expected.clone()
        },
        MergedRow {
            last_event_id: "a".to_owned(),
            ..expected.clone()
        },
        MergedRow {
            precedence: 4,
            ..expected.clone()
        },
        MergedRow {
            grown: vec![Some(200)],
            ..expected.clone()
        },
        MergedRow {
            refund_status: Some("partial".to_owned()),
            ..expected.clone()
        },
        MergedRow {
            is_audited: false,
            ..expected.clone()
        },
    ];
    for other in others {
        assert_eq!(compared(&[other]).doubled, 1);
    }
    let missing = compared(&[]);
    assert_eq!(
        sentences(&missing),
        ["pay_1 has no row in payment_transactions"]
    );
}

#[test]
fn all_faults_are_counted_and_the_first_are_told() {
    let ids: Vec<String> = (0..100).map(|id| format!("e{id}")).collect();
    let lost: Vec<_> = ids.iter().map(|id| sent(id, 1)).collect();
    let (audit, _) = ledger(&lost, &[]);
    assert_eq!((audit.lost, audit.faults.len()), (100, FAULTS_MAX));
}
