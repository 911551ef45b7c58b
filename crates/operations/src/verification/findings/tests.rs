use harkara_storage::ledger::{Change, EventStatus};
use harkara_storage::verification::{Identity, MergedRow, MergedTable, StoredEvent};

use super::Expected::{Nothing, Stored, Unknown};
use super::{Expected, FAULTS_MAX, Findings, SentDelivery, Verification};

fn sent(id: &str, digest: u8, expected: Expected) -> SentDelivery<'_> {
    SentDelivery {
        event_id: id,
        body: b"",
        digest: [digest; 32],
        expected,
    }
}

fn row(digest: u8, digest_is_right: bool, status: EventStatus) -> StoredEvent {
    StoredEvent {
        event_id: "a".to_owned(),
        status,
        durability: Some("fsynced".to_owned()),
        digest: [digest; 32].to_vec(),
        digest_is_right,
    }
}

fn identity(id: &str, digest: u8) -> Identity {
    Identity {
        event_id: id.to_owned(),
        digest: [digest; 32].to_vec(),
    }
}

fn found(compare: impl FnOnce(&mut Findings)) -> Verification {
    let mut findings = Findings::default();
    compare(&mut findings);
    findings.finish().0
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

fn sentences(found: &Verification) -> Vec<&str> {
    let faults = found.faults.iter();
    faults.map(|fault| fault.sentence.as_str()).collect()
}

#[test]
fn the_ledger_has_every_accepted_delivery_once_as_sent_and_processed() {
    use EventStatus::{Failed, Pending, Processed};
    let processed = || row(1, true, Processed);
    for (expected, rows, faults, has_effects) in [
        (Stored, vec![processed()], [0, 0, 0, 0, 0], true),
        (Unknown, vec![processed()], [0, 0, 0, 0, 0], true),
        (Unknown, vec![], [0, 0, 0, 0, 0], false),
        (Nothing, vec![], [0, 0, 0, 0, 0], false),
        (Stored, vec![], [1, 0, 0, 0, 0], false),
        (
            Stored,
            vec![row(1, false, Processed)],
            [0, 1, 0, 0, 0],
            false,
        ),
        (
            Unknown,
            vec![row(9, true, Processed)],
            [0, 1, 0, 0, 0],
            false,
        ),
        // The effects are still those of one event.
        (
            Stored,
            vec![processed(), processed()],
            [0, 0, 1, 0, 0],
            true,
        ),
        (Nothing, vec![processed()], [0, 0, 0, 1, 0], false),
        (Stored, vec![row(1, true, Pending)], [0, 0, 0, 0, 1], false),
        (Stored, vec![row(1, true, Failed)], [0, 0, 0, 0, 1], false),
    ] {
        let case = format!("{expected:?} {rows:?}");
        let deliveries = [sent("a", 1, expected)];
        let mut effects = 0;
        let found = found(|findings| effects = findings.compare_ledger(&deliveries, &rows).len());
        assert_eq!(counts(&found), faults, "{case}");
        assert_eq!(found.is_clean(), faults == [0; 5], "{case}");
        assert_eq!(effects, usize::from(has_effects), "{case}");
        let n_stored = if expected == Nothing { 0 } else { rows.len() };
        assert_eq!(found.stored, n_stored, "{case}");
        let by_level = found.durability.get("fsynced").copied();
        assert_eq!(by_level.unwrap_or(0), n_stored, "{case}");
    }
}

#[test]
fn a_bad_signature_leaves_no_identity_and_no_effect_and_is_one_fault() {
    let bad = [sent("a", 1, Nothing)];
    let both = found(|findings| {
        findings.compare_ledger(&bad, &[row(1, true, EventStatus::Processed)]);
        findings.compare_identities(&bad, &[identity("a", 1)]);
    });
    assert_eq!(counts(&both), [0, 0, 0, 1, 0]);
    let known = found(|findings| findings.compare_identities(&bad, &[identity("a", 1)]));
    assert_eq!(counts(&known), [0, 0, 0, 1, 0]);
    let change = Change {
        razorpay_event_id: "a".to_owned(),
        table_name: "payment_orders".to_owned(),
        entity_id: "order_1".to_owned(),
        from_status: None,
        to_status: Some("paid".to_owned()),
    };
    let changed = found(|findings| findings.compare_refused(&[change]));
    let expected = ["a was badly signed and has changed payment_orders"];
    assert_eq!(sentences(&changed), expected);
}

#[test]
fn a_body_has_one_id_and_one_row_and_an_id_has_one_body() {
    let deliveries = [sent("a", 1, Stored), sent("b", 2, Stored)];
    for (identities, n_doubled) in [
        ([identity("a", 1), identity("b", 2)], 0),
        ([identity("x", 1), identity("b~12", 9)], 2),
    ] {
        let found = found(|findings| findings.compare_identities(&deliveries, &identities));
        assert_eq!(counts(&found), [0, 0, n_doubled, 0, 0]);
    }
    // A body that is not ours does not matter.
    let duplicates = [[2; 32].to_vec(), [7; 32].to_vec()];
    let found = found(|findings| findings.compare_bodies(&deliveries, &duplicates));
    assert_eq!(counts(&found), [0, 0, 1, 0, 0]);
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
        let expected = std::slice::from_ref(&expected);
        found(|findings| findings.compare_merged(MergedTable::Payments, expected, rows))
    };
    assert!(compared(std::slice::from_ref(&expected)).is_clean());
    let changes: [fn(&mut MergedRow); 6] = [
        |row| row.status = Some("captured".to_owned()),
        |row| row.last_event_id = "a".to_owned(),
        |row| row.precedence = 4,
        |row| row.grown = vec![Some(200)],
        |row| row.refund_status = Some("partial".to_owned()),
        |row| row.is_audited = false,
    ];
    for change in changes {
        let mut other = expected.clone();
        change(&mut other);
        assert_eq!(compared(&[other]).doubled, 1);
    }
    let missing = compared(&[]);
    assert_eq!(
        sentences(&missing),
        ["pay_1 has no row in payment_transactions"]
    );
}

#[test]
fn all_faults_are_counted_and_the_first_are_kept() {
    let ids: Vec<String> = (0..100).map(|id| format!("e{id}")).collect();
    let lost: Vec<_> = ids.iter().map(|id| sent(id, 1, Stored)).collect();
    let found = found(|findings| {
        findings.compare_ledger(&lost, &[]);
    });
    assert_eq!((found.lost, found.faults.len()), (100, FAULTS_MAX));
    assert_eq!(
        found.faults[0].sentence,
        "e0 was accepted and is not in the ledger"
    );
}
