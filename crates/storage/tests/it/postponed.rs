//! Events that wait for a table: stored without an attempt, recalled when it can be written again.

use std::time::Duration;

use harkara_core::entry::EntryRef;
use harkara_storage::grants::Process;
use harkara_storage::inspection::{TableLock, lock_on, missing_privileges, table_locks};
use harkara_storage::ledger::recall;
use harkara_storage::record::{EventRecord, Verdict};

use crate::records::{bodies, claimed, claimed_ago, numbered, retries, with_verdict};
use crate::store::{Store, commit};

const HOUR: Duration = Duration::from_hours(1);

fn postponed(record: EventRecord, table: &'static str) -> EventRecord {
    EventRecord {
        verdict: Verdict::postpone(table, "locked", HOUR),
        ..record
    }
}

#[tokio::test]
async fn a_postponed_event_is_stored_without_effect_and_without_an_attempt() {
    let store = Store::migrated().await;
    let batch: Vec<_> = [0, 1]
        .map(|n| postponed(claimed(&numbered(n)), "payment_transactions"))
        .into();
    let committed = commit(&store.pool, batch.clone()).await.unwrap();
    assert_eq!(committed.outcome().postponed, 2);
    // They are safe, so their entries can be acknowledged.
    let entries: Vec<EntryRef> = batch.iter().filter_map(|r| r.claimed.entry()).collect();
    assert_eq!(committed.entries(), entries);
    assert_eq!(store.count("payment_transactions").await, 0);
    let columns = "status, attempts, error, next_attempt_at > now() + interval '59 minutes'";
    let row = "pending 0 postponed while payment_transactions cannot be written: locked t";
    assert_eq!(store.ledger(columns).await, [row; 2]);

    // Delivered again meanwhile, it is a duplicate.
    assert_eq!(store.deliver([&numbered(0)]).await.duplicates, 1);
    assert!(store.lease(9).await.is_empty());
}

#[tokio::test]
async fn a_lease_that_ends_in_a_postponement_counts_no_attempt() {
    let store = Store::migrated().await;
    store.commit(retries(1)).await;
    let leased = with_verdict(store.lease(1).await.remove(0));
    assert_eq!(leased.claimed.attempts(), 2);
    let again = postponed(leased, "payment_transactions");
    assert_eq!(store.commit(vec![again]).await.postponed, 1);
    assert_eq!(store.ledger("status, attempts").await, ["pending 1"]);
}

#[tokio::test]
async fn recalled_events_come_first_in_order_of_receipt_and_once() {
    let store = Store::migrated().await;
    store.commit(retries(1)).await;
    let tables = ["payment_disputes", "payment_transactions"];
    let batch = (1..5).map(|n| postponed(claimed_ago(&numbered(n), 60), tables[n % 2]));
    store.commit(batch.collect()).await;
    // One that is being processed: its lease must not be cut short.
    let leased = "attempts = 1 WHERE razorpay_event_id = 'e03'";
    store.set(leased).await;

    assert_eq!(recall(&store.pool, tables[1], 9).await.unwrap(), 1);
    assert_eq!(recall(&store.pool, tables[1], 9).await.unwrap(), 0);
    let ids = |events: Vec<_>| -> Vec<String> {
        let ids = events.iter();
        ids.map(|e: &harkara_storage::record::ClaimedEvent| e.event_id.as_str().to_owned())
            .collect()
    };
    assert_eq!(ids(store.lease(9).await), ["e01", "e00"]);
    for expected in [1, 1, 0] {
        assert_eq!(recall(&store.pool, tables[0], 1).await.unwrap(), expected);
    }
    let events = store.lease(9).await;
    let batch = events.into_iter().map(with_verdict).collect();
    assert_eq!(store.commit(batch).await.processed, 2);
    let applied = "attempts = 1 AND error IS NULL AND processed";
    let applied = format!("webhook_events WHERE {applied}");
    assert_eq!(store.count(&applied).await, 2);
}

#[tokio::test]
async fn an_event_names_the_tables_that_it_changes() {
    let mut bodies = bodies();
    for (name, tables) in [
        ("payment.captured", &["payment_transactions"][..]),
        (
            "payment.dispute.created",
            &["payment_transactions", "payment_disputes"],
        ),
        (
            "payment.downtime.started",
            &["entity_snapshots", "downtime_events"],
        ),
    ] {
        let record = claimed(&bodies.event(name));
        assert_eq!(record.tables(), tables, "{name}");
        assert!(postponed(record, tables[0]).tables().is_empty());
    }
}

#[tokio::test]
async fn locks_that_keep_others_from_writing_are_found_and_others_not() {
    let store = Store::migrated().await;
    let (disputes, audit) = (Some("payment_disputes"), Some("audit_logs"));
    let exclusive = "ACCESS EXCLUSIVE";
    for (mode, table, for_disputes, for_every_event) in [
        (exclusive, "payment_disputes", disputes, None),
        ("SHARE", "payment_disputes", disputes, None),
        ("ACCESS SHARE", "payment_disputes", None, None),
        ("SHARE UPDATE EXCLUSIVE", "payment_disputes", None, None),
        (exclusive, "payment_refunds", None, None),
        // Every change of a status is audited.
        (exclusive, "audit_logs", audit, audit),
        (exclusive, "audit_logs_default", audit, audit),
        (
            exclusive,
            "webhook_events_default",
            None,
            Some("webhook_events"),
        ),
    ] {
        let lock = format!("BEGIN; LOCK TABLE ONLY {table} IN {mode} MODE");
        store.execute(&lock).await;
        let pid: i32 = store.value("SELECT pg_backend_pid()").await;
        let all = table_locks(&store.pool).await.unwrap();
        for (projected, found) in [(disputes, for_disputes), (None, for_every_event)] {
            let lock = lock_on(&store.pool, projected).await.unwrap();
            let lock = lock.as_ref();
            let name = lock.map(|lock| lock.table_name.as_str());
            assert_eq!(name, found, "{mode} on {table}");
            let of = |lock: &TableLock| (lock.pid, lock.granted);
            assert_eq!(lock.map(of), found.map(|_| (Some(pid), true)));
        }
        store.execute("ROLLBACK").await;
        let is_hard = mode == "SHARE" || mode == exclusive;
        assert_eq!(all.len(), usize::from(is_hard), "{mode} on {table}");
    }
    assert_eq!(table_locks(&store.pool).await.unwrap(), []);
}

#[tokio::test]
async fn missing_privileges_and_tables_are_found() {
    let store = Store::migrated().await;
    assert_eq!(
        missing_privileges(&store.pool, Process::Worker)
            .await
            .unwrap(),
        []
    );
    store
        .execute(
            "REVOKE UPDATE ON payment_orders, invoice_events FROM CURRENT_USER; \
             REVOKE INSERT ON audit_logs FROM CURRENT_USER; \
             ALTER TABLE payment_refunds RENAME TO elsewhere",
        )
        .await;
    let missing = missing_privileges(&store.pool, Process::Worker)
        .await
        .unwrap();
    let missing: Vec<_> = missing
        .iter()
        .map(|m| (m.table_name.as_str(), m.privilege.as_deref()))
        .collect();
    assert_eq!(
        missing,
        [
            ("audit_logs", Some("INSERT")),
            ("payment_orders", Some("UPDATE")),
            ("payment_refunds", None),
        ]
    );
}
