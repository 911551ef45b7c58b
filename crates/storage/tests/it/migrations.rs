//! Migrating the schema, and refusing to work on an unknown one.

use futures_util::future::join_all;
use harkara_storage::durability_risks::{Risk, risks};
use harkara_storage::ledger::ledger_id;
use harkara_storage::migrations::{SchemaState, check, migrate};
use harkara_testkit::{TestDatabase, pool_settings};

use crate::records::payment;
use crate::store::Store;

async fn migrated(db: &TestDatabase) -> Vec<String> {
    migrate(&pool_settings(&db.url)).await.unwrap()
}

#[tokio::test]
async fn an_empty_database_is_migrated_once_and_then_left_alone() {
    let db = TestDatabase::empty().await;
    let first = migrated(&db).await;
    assert!(first.len() >= 3, "{first:?}");
    assert!(first.is_sorted());
    assert_eq!(migrated(&db).await, Vec::<String>::new());
    assert_eq!(check(&db.pool()).await.unwrap(), SchemaState::Fits);
}

#[tokio::test]
async fn a_ledger_keeps_the_id_that_its_first_migration_gave_it() {
    let (first, second) = (TestDatabase::empty().await, TestDatabase::empty().await);
    for db in [&first, &second] {
        migrated(db).await;
    }
    let id = ledger_id(&first.pool()).await.unwrap();
    assert_ne!(ledger_id(&second.pool()).await.unwrap(), id);
    assert_eq!(migrated(&first).await, Vec::<String>::new());
    assert_eq!(ledger_id(&first.pool()).await.unwrap(), id);
}

#[tokio::test]
async fn eight_concurrent_migrations_apply_each_version_once() {
    let db = TestDatabase::empty().await;
    let mut applied = join_all((0..8).map(|_| migrated(&db))).await.concat();
    applied.sort_unstable();
    let expected = "SELECT version FROM __diesel_schema_migrations ORDER BY version";
    assert_eq!(applied, db.column::<String>(expected).await);
    assert_eq!(check(&db.pool()).await.unwrap(), SchemaState::Fits);
}

#[tokio::test]
async fn an_empty_database_is_behind_and_the_remedy_is_named() {
    let db = TestDatabase::empty().await;
    let state = check(&db.pool()).await.unwrap();
    let SchemaState::Behind { missing } = &state else {
        panic!("{state:?}")
    };
    assert!(state.problem().unwrap().contains(&missing[0]), "{state:?}");
    assert_eq!(state.remedy(), "run `harkara migrate`");
    assert_eq!(SchemaState::Fits.problem(), None);
}

#[tokio::test]
async fn a_schema_that_excludes_this_binary_is_ahead() {
    const LATER: &str = "29990101000001";
    let db = TestDatabase::migrated().await;
    let newer = format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{LATER}')");
    db.execute(&newer).await;
    let state = check(&db.pool()).await.unwrap();
    assert_eq!(state, SchemaState::Fits, "newer and compatible");
    let incompatible = format!("UPDATE harkara_schema SET compatible_from = '{LATER}'");
    db.execute(&incompatible).await;
    let state = check(&db.pool()).await.unwrap();
    assert_eq!(state.remedy(), "install a newer version");
    let compatible_from = LATER.to_owned();
    assert_eq!(state, SchemaState::Ahead { compatible_from });
}

#[tokio::test]
async fn a_refused_connection_is_an_error_without_the_password() {
    for (port, expected) in [
        (
            "1",
            "127.0.0.1:1: error connecting to server: Connection refused (os error 111)",
        ),
        ("port", "postgres.url is not a valid URL"),
    ] {
        let url = format!("postgres://harkara:secret-word@127.0.0.1:{port}/none");
        let error = migrate(&pool_settings(&url)).await.unwrap_err().full();
        assert_eq!(error, format!("no connection to PostgreSQL: {expected}"));
    }
}

#[tokio::test]
async fn a_database_that_confirms_commits_too_early_is_made_to_wait() {
    for (default, used) in [("off", "on"), ("local", "local")] {
        let store = Store::migrated().await;
        store
            .execute(&format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = {default}', current_database()); END $$; \
                 CREATE TABLE seen (value text); \
                 CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
                 CREATE TRIGGER see AFTER INSERT ON webhook_events FOR EACH STATEMENT EXECUTE FUNCTION see()",
            ))
            .await;
        let event = payment("evt", "pay_1", "captured", 10);
        store.deliver([&event]).await;
        assert_eq!(store.value::<String>("SELECT value FROM seen").await, used);
    }
}

#[tokio::test]
async fn risky_settings_are_found() {
    // The test server runs without fsync.
    let db = TestDatabase::migrated().await;
    let risks = risks(&db.pool()).await.unwrap();
    let is_fsync = |risk: &Risk| risk.to_string().contains("fsync = off");
    assert!(risks.iter().any(is_fsync), "{risks:?}");
}
