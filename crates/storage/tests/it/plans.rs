//! The statements use the indexes that were made for them. What the planner would take on empty tables
//! says little, so it is told to avoid scans, and joins that need one: what is still scanned had no index.

use std::time::Duration;

use harkara_core::catalogue;
use harkara_storage::ledger::{
    EventFilter, changes, due_backlog, find, lease_due, list, secret_uses,
};
use harkara_testkit::{TestDatabase, wait_until};

use crate::records::{LEASE_BOUNDS, all_claimed, bodies, commit, leased, payment, to_retry};

/// A database where the planner avoids scans, with some events of every typed kind, and some pending.
async fn without_scans() -> TestDatabase {
    let db = TestDatabase::migrated().await;
    let mut bodies = bodies();
    let events: Vec<_> = (0..20)
        .flat_map(|_| {
            catalogue::typed()
                .map(|known| bodies.event(known.name))
                .collect::<Vec<_>>()
        })
        .collect();
    let pending = (0..50).map(|n| {
        to_retry(
            &payment(&format!("e{n}"), &format!("pay_{n}"), "captured", 10),
            Duration::ZERO,
        )
    });
    let batch = all_claimed(&events).into_iter().chain(pending).collect();
    commit(&db.pool(), batch).await.map(drop).unwrap();
    db.execute(
        "DO $$ DECLARE way text; BEGIN FOREACH way IN ARRAY ARRAY['seqscan', 'hashjoin', 'mergejoin'] LOOP \
           EXECUTE format('ALTER DATABASE %I SET enable_%s = off', current_database(), way); END LOOP; END $$; ANALYZE",
    )
    .await;
    wait_until_gone(&db).await;
    db.execute(
        "CREATE TEMP TABLE scans_before AS SELECT relid AS id, seq_scan AS scans FROM pg_stat_user_tables \
         UNION ALL SELECT indexrelid, idx_scan FROM pg_stat_user_indexes",
    )
    .await;
    db
}

/// Statistics are complete once the sessions that made them have ended.
async fn wait_until_gone(db: &TestDatabase) {
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
        AND backend_type = 'client backend'";
    wait_until(
        "the pool's sessions have ended",
        Duration::from_secs(10),
        async || db.value::<i64>(sessions).await == 0,
    )
    .await;
}

/// The tables that were scanned, and the indexes (of any partition that has rows) that were used.
async fn used(db: &TestDatabase) -> (Vec<String>, Vec<String>) {
    wait_until_gone(db).await;
    let scanned = db
        .column(
            "SELECT relname::text FROM pg_stat_user_tables JOIN scans_before b ON b.id = relid \
             WHERE seq_scan > b.scans AND relname <> 'harkara_schema' ORDER BY 1",
        )
        .await;
    let indexes = db
        .column(
            "SELECT DISTINCT coalesce(p.inhparent::regclass, s.indexrelid::regclass)::text FROM pg_stat_user_indexes s \
             JOIN scans_before b ON b.id = s.indexrelid \
             LEFT JOIN pg_inherits p ON p.inhrelid = s.indexrelid WHERE s.idx_scan > b.scans AND pg_relation_size(s.relid) > 0 ORDER BY 1",
        )
        .await;
    (scanned, indexes)
}

/// A row whose id and time of receipt are both given is found by either, as the planner sees fit.
fn one_row_at_a_time(mut indexes: Vec<String>) -> Vec<String> {
    let before = indexes.len();
    indexes.retain(|name| name != "webhook_events_pkey" && name != "webhook_events_created_at");
    assert!(indexes.len() < before, "{indexes:?}");
    indexes
}

#[tokio::test]
async fn a_commit_finds_identities_rows_and_entities_by_their_keys() {
    let db = without_scans().await;
    let pool = db.pool();
    let events: Vec<_> = (0..50)
        .map(|n| payment(&format!("f{n}"), &format!("pay_{n}"), "captured", 20))
        .collect();
    for _ in 0..2 {
        commit(&pool, all_claimed(&events)).await.map(drop).unwrap();
    }
    drop(pool);
    let (scanned, indexes) = used(&db).await;
    assert_eq!(scanned, Vec::<String>::new());
    assert_eq!(
        one_row_at_a_time(indexes),
        [
            "event_identities_body_sha256_key",
            "event_identities_pkey",
            "payment_transactions_pkey"
        ]
    );
}

#[tokio::test]
async fn leasing_and_settling_use_the_index_of_due_rows_and_the_key() {
    let db = without_scans().await;
    let pool = db.pool();
    let events = lease_due(&pool, &LEASE_BOUNDS).await.unwrap().events;
    let batch = events.into_iter().map(leased).collect();
    assert_eq!(commit(&pool, batch).await.unwrap().outcome().processed, 9);
    drop(pool);
    let (scanned, indexes) = used(&db).await;
    assert_eq!(scanned, Vec::<String>::new());
    assert_eq!(
        one_row_at_a_time(indexes),
        ["payment_transactions_pkey", "webhook_events_due"]
    );
}

#[tokio::test]
async fn counting_what_is_due_and_what_is_dead_uses_the_indexes_of_both() {
    let db = without_scans().await;
    let pool = db.pool();
    let look = due_backlog(&pool, 1000).await.unwrap();
    assert_eq!(look.lanes.iter().map(|lane| lane.due).sum::<u64>(), 50);
    drop(pool);
    let (scanned, indexes) = used(&db).await;
    assert_eq!(scanned, Vec::<String>::new());
    assert_eq!(
        indexes,
        ["webhook_events_dead_letters", "webhook_events_due"]
    );
}

#[tokio::test]
async fn listing_goes_along_the_time_of_receipt() {
    let db = without_scans().await;
    let pool = db.pool();
    let since = Some(chrono::Utc::now() - chrono::Duration::days(1));
    assert_eq!(
        list(
            &pool,
            &EventFilter {
                since,
                ..EventFilter::default()
            },
            10
        )
        .await
        .unwrap()
        .len(),
        10
    );
    drop(pool);
    let (scanned, indexes) = used(&db).await;
    assert_eq!(scanned, Vec::<String>::new());
    assert_eq!(indexes, ["webhook_events_created_at"]);
}

#[tokio::test]
async fn counting_the_uses_of_secrets_goes_along_the_time_of_receipt() {
    let db = without_scans().await;
    let pool = db.pool();
    let since = chrono::Utc::now() - chrono::Duration::days(1);
    assert_eq!(secret_uses(&pool, since).await.unwrap().len(), 1);
    drop(pool);
    let (scanned, indexes) = used(&db).await;
    assert_eq!(scanned, Vec::<String>::new());
    assert_eq!(indexes, ["webhook_events_created_at"]);
}

#[tokio::test]
async fn finding_events_and_their_changes_uses_keys() {
    let db = without_scans().await;
    let pool = db.pool();
    let ids = ["e1".to_owned()];
    assert_eq!(find(&pool, &ids).await.unwrap().len(), 1);
    changes(&pool, &ids).await.map(drop).unwrap();
    drop(pool);
    let (scanned, indexes) = used(&db).await;
    assert_eq!(scanned, Vec::<String>::new());
    assert_eq!(
        indexes,
        [
            "account_events_pkey",
            "audit_logs_event",
            "downtime_events_pkey",
            "fund_account_events_pkey",
            "invoice_events_pkey",
            "order_notifications_pkey",
            "payment_link_events_pkey",
            "webhook_events_pkey",
        ]
    );
}
