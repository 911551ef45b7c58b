//! A migration that must wait for a long reader, such as `pg_dump`, holds up no commit for long.

use std::time::Duration;

use harkara_storage::migrations::migrate;
use harkara_testkit::{TestDatabase, pool_settings, wait_until};

use crate::store::Store;

/// What `pg_dump` holds from its beginning to its end.
const READ_ALL: &str = "BEGIN; DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class \
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace LOOP \
      EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', t); END LOOP; END $$";

/// A migration that has to wait for a reader, which ends when the migration has tried.
#[tokio::test]
async fn a_migration_beside_a_reader_gives_way_and_is_tried_again() {
    let store = Store::migrated().await;
    let newest = "DELETE FROM __diesel_schema_migrations WHERE version = '20261123000007'; \
        ALTER TABLE webhook_events DROP COLUMN secret_fingerprint";
    store.execute(newest).await;
    store.execute(READ_ALL).await;
    let url = store.url.clone();
    let migrating = tokio::spawn(async move { migrate(&pool_settings(&url)).await });
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
