//! Maintenance that must wait for a long reader, such as `pg_dump`, holds up no commit for long.

use std::time::{Duration, Instant};

use harkara_core::secret::Secret;
use harkara_storage::migrations::{ensure_partitions, migrate};
use harkara_testkit::{TestDatabase, wait_until};

use crate::migrations::THIS_MONTH;
use crate::records::{retries, with_verdict};
use crate::store::Store;

/// What `pg_dump` holds from its beginning to its end.
const READ_ALL: &str = "BEGIN; DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class \
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace LOOP \
      EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', t); END LOOP; END $$";

/// The promise: whoever comes after a maintenance that waits for a lock waits no longer.
const WAIT_MAX: Duration = Duration::from_millis(300);

const ROUNDS: usize = 5;

async fn without_this_month(store: &Store) {
    let month: String = store.value(THIS_MONTH).await;
    let drop = format!("DROP TABLE webhook_events_{month}, audit_logs_{month}");
    store.execute(&drop).await;
}

/// The best of some rounds counts: a busy machine may delay any, and an unbounded wait all.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_only_shortly_behind_partitions_that_wait_for_a_reader() {
    let store = Store::migrated().await;
    without_this_month(&store).await;
    store.commit(retries(ROUNDS)).await;
    store.execute(READ_ALL).await;
    let mut quickest = Duration::MAX;
    for _ in 0..ROUNDS {
        let pool = store.pool.clone();
        let ensuring = tokio::spawn(async move {
            let from = Instant::now();
            (ensure_partitions(&pool).await, from.elapsed())
        });
        let leased = store.lease(1).await.remove(0);
        let from = Instant::now();
        // Settling a row locks every partition.
        assert_eq!(store.commit(vec![with_verdict(leased)]).await.processed, 1);
        let committed = from.elapsed();
        let (ensured, took) = ensuring.await.unwrap();
        let error = ensured.unwrap_err().full();
        assert!(error.contains("(SQLSTATE 55P03)"), "{error}");
        quickest = quickest.min(committed.max(took));
    }
    assert!(quickest < WAIT_MAX, "{quickest:?}");
    store.execute("ROLLBACK").await;
    ensure_partitions(&store.pool).await.unwrap();
}

/// A migration that has to wait for a reader, which ends when the migration has tried.
#[tokio::test]
async fn a_migration_beside_a_reader_gives_way_and_is_tried_again() {
    let store = Store::migrated().await;
    let newest = "DELETE FROM __diesel_schema_migrations WHERE version = '20261123000007'; \
        ALTER TABLE webhook_events DROP COLUMN secret_fingerprint";
    store.execute(newest).await;
    store.execute(READ_ALL).await;
    let url = store.url.clone();
    let migrating = tokio::spawn(async move { migrate(&Secret::new(url), None).await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let other = TestDatabase::at(store.url.clone()).await;
    let bound = Duration::from_secs(20);
    wait_until("it waits for the reader", bound, async || {
        other.value::<i64>(waiting).await > 0
    })
    .await;
    wait_until("it gives way", bound, async || {
        other.value::<i64>(waiting).await == 0
    })
    .await;
    assert!(!migrating.is_finished());
    store.execute("ROLLBACK").await;
    assert_eq!(migrating.await.unwrap().unwrap(), ["20261123000007"]);
}
