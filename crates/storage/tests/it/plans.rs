//! The statements use their indexes. The planner's choice on nearly empty tables says little, so it is told to
//! avoid scans, and joins that need one: a table that is still scanned lacks an index.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use harkara_core::catalogue;
use harkara_storage::Pool;
use harkara_storage::ledger::{
    BEGINNING, END, EventFilter, EventStatus, ReplayTarget, Source, Walk, changes,
    count_replayable, due_backlog, few_are_pending, find, lease_due, list, replay, secret_uses,
    stretch,
};
use harkara_testkit::{TestDatabase, wait_until};

use crate::records::{LEASE_BOUNDS, all_claimed, bodies, payment, retries, with_verdict};
use crate::store::{Store, commit};

/// A database where the planner avoids scans, with some events of every typed kind, and 50 pending ones.
async fn without_scans() -> TestDatabase {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let names = (0..20).flat_map(|_| catalogue::typed());
    let events: Vec<_> = names.map(|spec| bodies.event(spec.name)).collect();
    let batch = all_claimed(&events).into_iter().chain(retries(50));
    store.commit(batch.collect()).await;
    let db = store.into_database();
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

/// Runs statements, checks that no table was scanned, and returns the used indexes (of any partition that has
/// rows).
async fn indexes_used(statements: impl AsyncFnOnce(Pool)) -> Vec<String> {
    let db = without_scans().await;
    statements(db.pool()).await;
    wait_until_gone(&db).await;
    let scanned: Vec<String> = db
        .column(
            "SELECT relname::text FROM pg_stat_user_tables JOIN scans_before b ON b.id = relid \
             WHERE seq_scan > b.scans AND relname <> 'harkara_schema' ORDER BY 1",
        )
        .await;
    assert_eq!(scanned, Vec::<String>::new());
    db.column(
        "SELECT DISTINCT coalesce(p.inhparent::regclass, s.indexrelid::regclass)::text FROM pg_stat_user_indexes s \
         JOIN scans_before b ON b.id = s.indexrelid \
         LEFT JOIN pg_inherits p ON p.inhrelid = s.indexrelid WHERE s.idx_scan > b.scans AND pg_relation_size(s.relid) > 0 ORDER BY 1",
    )
    .await
}

/// Leaves out the two indexes that find a row whose id and time of receipt are both given: the planner takes
/// either.
fn without_row_keys(mut indexes: Vec<String>) -> Vec<String> {
    let before = indexes.len();
    indexes.retain(|name| name != "webhook_events_pkey" && name != "webhook_events_created_at");
    assert!(indexes.len() < before, "{indexes:?}");
    indexes
}

#[tokio::test]
async fn a_commit_finds_identities_rows_and_entities_by_their_keys() {
    let indexes = indexes_used(async |pool| {
        let payment = |n| payment(&format!("f{n}"), &format!("pay_{n:02}"), "captured", 20);
        let events: Vec<_> = (0..50).map(payment).collect();
        for _ in 0..2 {
            commit(&pool, all_claimed(&events)).await.map(drop).unwrap();
        }
    })
    .await;
    assert_eq!(
        without_row_keys(indexes),
        [
            "event_identities_body_sha256_key",
            "event_identities_pkey",
            "payment_transactions_pkey"
        ]
    );
}

#[tokio::test]
async fn leasing_and_settling_use_the_index_of_due_rows_and_the_key() {
    let indexes = indexes_used(async |pool| {
        let events = lease_due(&pool, &LEASE_BOUNDS).await.unwrap().events;
        let batch = events.into_iter().map(with_verdict).collect();
        assert_eq!(commit(&pool, batch).await.unwrap().outcome().processed, 9);
    })
    .await;
    assert_eq!(
        without_row_keys(indexes),
        ["payment_transactions_pkey", "webhook_events_due"]
    );
}

#[tokio::test]
async fn counting_the_backlog_uses_the_indexes_of_due_rows_and_dead_letters() {
    let indexes = indexes_used(async |pool| {
        let sample = due_backlog(&pool, 1000).await.unwrap();
        assert_eq!(sample.lanes.iter().map(|lane| lane.due).sum::<u64>(), 50);
    })
    .await;
    assert_eq!(
        indexes,
        ["webhook_events_dead_letters", "webhook_events_due"]
    );
}

#[tokio::test]
async fn a_walk_uses_the_index_on_the_time_of_receipt() {
    let since = Utc::now() - TimeDelta::days(1);
    let indexes = indexes_used(async |pool| {
        let here = stretch(&pool, &Walk::Events, since, END, 20)
            .await
            .unwrap()
            .unwrap();
        let filter = EventFilter {
            event_type: Some("payment.captured".to_owned()),
            since: here.from,
            ..EventFilter::all()
        };
        list(&pool, &filter, Source::Ledger, 10)
            .await
            .map(drop)
            .unwrap();
        assert_eq!(secret_uses(&pool, here).await.unwrap().len(), 1);
    });
    assert_eq!(indexes.await, ["webhook_events_created_at"]);
}

#[tokio::test]
async fn dead_letters_pending_events_and_those_of_an_entity_are_found_by_their_indexes() {
    let dead_letters = indexes_used(async |pool| {
        let filter = EventFilter {
            status: Some(EventStatus::Failed),
            ..EventFilter::all()
        };
        list(&pool, &filter, Source::Ledger, 10)
            .await
            .map(drop)
            .unwrap();
        let walk = Walk::DeadLetters;
        stretch(&pool, &walk, BEGINNING, END, 20)
            .await
            .map(drop)
            .unwrap();
    });
    // Without any, the other index of the same column is as good.
    let dead_letters = dead_letters.await;
    assert!(
        dead_letters.contains(&"webhook_events_dead_letters".to_owned()),
        "{dead_letters:?}"
    );
    let pending = indexes_used(async |pool| {
        assert!(few_are_pending(&pool, 100).await.unwrap());
        let all = EventFilter::all();
        assert_eq!(
            list(&pool, &all, Source::Pending(99), 99)
                .await
                .unwrap()
                .len(),
            50
        );
    });
    assert_eq!(pending.await, ["webhook_events_due"]);
    let of_entity = indexes_used(async |pool| {
        let all = EventFilter::all();
        let entity = "pay_nobody";
        let walk = Walk::ChangesOf(entity.to_owned());
        assert_eq!(
            stretch(&pool, &walk, BEGINNING, END, 9).await.unwrap(),
            None
        );
        let changes = Source::Changes(
            entity,
            stretch(&pool, &Walk::Events, BEGINNING, END, 9)
                .await
                .unwrap()
                .unwrap(),
        );
        assert!(list(&pool, &all, changes, 9).await.unwrap().is_empty());
    });
    let mut of_entity = of_entity.await;
    // Of the stretch of events that stands for one of changes.
    of_entity.retain(|index| index != "webhook_events_created_at");
    assert_eq!(of_entity, ["audit_logs_entity"]);
}

#[tokio::test]
async fn a_replay_finds_its_events_by_the_time_of_receipt() {
    let indexes = indexes_used(async |pool| {
        let here = stretch(&pool, &Walk::Events, BEGINNING, END, 1000).await;
        let target = ReplayTarget::Stretch {
            stretch: here.unwrap().unwrap(),
            status: EventStatus::Processed,
            event_type: None,
        };
        assert!(count_replayable(&pool, &target).await.unwrap().replayable >= 20);
        assert!(replay(&pool, &target, "operator:asha").await.unwrap() >= 20);
    });
    without_row_keys(indexes.await);
}

#[tokio::test]
async fn finding_events_and_their_changes_uses_keys() {
    let indexes = indexes_used(async |pool| {
        let ids = ["e01".to_owned()];
        assert_eq!(find(&pool, &ids).await.unwrap().len(), 1);
        changes(&pool, &ids).await.map(drop).unwrap();
    })
    .await;
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
