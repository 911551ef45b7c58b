//! PostgreSQL behind a pooler that lends a session for each transaction.

use std::time::Duration;

use futures_util::future::join_all;
use harkara_simulator::SimulatedEvent;
use harkara_storage::ledger::{
    BEGINNING, END, EventStatus, ReplayTarget, Walk, ledger_id, replay, stretch,
};
use harkara_storage::migrations::{SchemaState, check, migrate};
use harkara_storage::partitions::ensure;
use harkara_storage::{Pool, PoolSettings, Pooler, Recovery};
use harkara_testkit::{PgBouncer, TestDatabase, pool_settings};

use crate::failures::{captured, refused};
use crate::partitions::{receive, without_this_month};
use crate::records::{all_claimed, payment};
use crate::store::{Store, commit};

/// The settings that a session shows, and those that ours must show within each transaction of [`pool`].
const SETTINGS: [(&str, &str); 8] = [
    ("synchronous_commit", "on"),
    ("statement_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("lock_timeout", "0"),
    ("search_path", "\"$user\", public"),
    ("TimeZone", "UTC"),
    ("client_encoding", "UTF8"),
    ("client_connection_check_interval", "1s"),
];

/// What another client of the pooler may leave in the sessions, besides the durability of commits.
const LEFT: &str = "SET statement_timeout = 7000; SET lock_timeout = 7000; \
    SET idle_in_transaction_session_timeout = 7000; SET search_path = nowhere; \
    SET client_connection_check_interval = 0; SET TimeZone = 'Asia/Kolkata'";

/// A pool of several connections to the same few sessions.
fn pool(pooler: &PgBouncer, db: &TestDatabase) -> Pool {
    Pool::new(&pool_settings(&pooler.url(&db.url))).unwrap()
}

fn payments(n_events: usize) -> Vec<SimulatedEvent> {
    let payment = |n| payment(&format!("evt_{n}"), &format!("pay_{n}"), "captured", 10);
    (0..n_events).map(payment).collect()
}

/// Commits an event.
async fn committed(pool: &Pool, event: &SimulatedEvent) {
    let committed = commit(pool, all_claimed([event])).await.unwrap();
    assert_eq!(committed.entries().len(), 1);
}

/// Makes a table remember the settings of each transaction that writes rows of another.
async fn remember_settings(db: &TestDatabase, table: &str) {
    let shown = SETTINGS.map(|(name, _)| format!("'{name}', current_setting('{name}')"));
    db.execute(&format!(
        "CREATE TABLE IF NOT EXISTS public.seen (settings jsonb); \
         CREATE OR REPLACE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN INSERT INTO public.seen VALUES (jsonb_build_object({})); RETURN NULL; END $$; \
         CREATE TRIGGER see AFTER INSERT OR UPDATE ON {table} EXECUTE FUNCTION public.see()",
        shown.join(", ")
    ))
    .await;
}

/// Expects the settings that we rely on in everything that was remembered.
async fn assert_settings(db: &TestDatabase) {
    for (name, expected) in SETTINGS {
        let seen = format!("SELECT DISTINCT settings->>'{name}' FROM public.seen");
        assert_eq!(db.column::<String>(&seen).await, [expected], "{name}");
    }
}

/// Leaves settings in every session of the pooler.
async fn leave_settings(pooler: &PgBouncer, db: &TestDatabase) {
    // Two transactions at a time get two sessions.
    let [one, other] = [
        TestDatabase::at(pooler.url(&db.url)).await,
        TestDatabase::at(pooler.url(&db.url)).await,
    ];
    for client in [&one, &other] {
        client.execute("BEGIN").await;
    }
    for (client, durability) in [(&one, "off"), (&other, "local")] {
        let left = format!("SET synchronous_commit = {durability}; {LEFT}; COMMIT");
        client.execute(&left).await;
    }
}

#[tokio::test]
async fn events_are_committed_once_by_many_connections_over_few_sessions() {
    for kept_statements in ["0", "100"] {
        let store = Store::migrated().await;
        let settings = [("max_prepared_statements", kept_statements)];
        let pooler = PgBouncer::before(&store.url, &settings).await;
        let pools: Vec<Pool> = (0..3).map(|_| pool(&pooler, &store)).collect();
        let events = payments(600);
        // Each batch comes twice, to different pools.
        let batches = events.chunks(20).chain(events.chunks(20)).enumerate();
        let committing = batches.map(|(n, batch)| commit(&pools[n % 3], all_claimed(batch)));
        for committed in join_all(committing).await {
            assert_eq!(committed.unwrap().entries().len(), 20);
        }
        assert_eq!(store.count("payment_transactions").await, 600);
        assert_eq!(
            store
                .count("webhook_events WHERE status = 'processed'")
                .await,
            600
        );
        assert_eq!(store.duplicates().await, 600);
        assert!(pools.iter().all(Pool::is_pooled));
        assert!(!store.pool.is_pooled());
    }
}

#[tokio::test]
async fn each_transaction_has_our_settings_whatever_others_left_in_its_session() {
    let store = Store::migrated().await;
    store
        .execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
        )
        .await;
    let pooler = PgBouncer::before(&store.url, &[]).await;
    let pool = pool(&pooler, &store);
    leave_settings(&pooler, &store).await;

    remember_settings(&store, "event_identities").await;
    for event in &payments(6) {
        committed(&pool, event).await;
    }
    assert_settings(&store).await;
    // A statement outside of a transaction is one by itself.
    store.execute("DELETE FROM public.seen").await;
    remember_settings(&store, "webhook_events").await;
    let all = stretch(&pool, &Walk::Events, BEGINNING, END, 100).await;
    let processed = ReplayTarget::Stretch {
        stretch: all.unwrap().unwrap(),
        status: EventStatus::Processed,
        event_type: None,
    };
    assert_eq!(replay(&pool, &processed, "operator:test").await.unwrap(), 6);
    assert_settings(&store).await;
}

#[tokio::test]
async fn nothing_of_ours_stays_in_a_session() {
    let store = Store::migrated().await;
    let pooler = PgBouncer::before(&store.url, &[("default_pool_size", "1")]).await;
    let other = TestDatabase::at(pooler.url(&store.url)).await;
    let query = "SELECT name || ' = ' || setting FROM pg_settings WHERE name <> 'application_name' ORDER BY name";
    let before: Vec<String> = other.column(query).await;
    let pool = pool(&pooler, &store);
    committed(&pool, &captured("e1")).await;
    migrate(&pool_settings(&pooler.url(&store.url)))
        .await
        .unwrap();
    assert_eq!(other.column::<String>(query).await, before);
    let left = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '' AND statement NOT LIKE '%pg_settings%' \
         AND statement NOT LIKE '%pg_prepared_statements%') + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
    assert_eq!(other.value::<i64>(left).await, 0);
}

#[tokio::test]
async fn concurrent_migrations_through_a_pooler_apply_each_version_once() {
    let db = TestDatabase::empty().await;
    let pooler = PgBouncer::before(&db.url, &[]).await;
    let settings = pool_settings(&pooler.url(&db.url));
    let mut applied = Vec::new();
    for versions in join_all((0..4).map(|_| migrate(&settings))).await {
        applied.extend(versions.unwrap());
    }
    applied.sort_unstable();
    let expected = "SELECT version FROM __diesel_schema_migrations ORDER BY version";
    assert_eq!(applied, db.column::<String>(expected).await);
    assert_eq!(check(&db.pool()).await.unwrap(), SchemaState::Fits);
}

#[tokio::test]
async fn parameters_of_the_url_hold_with_and_without_a_pooler() {
    let db = TestDatabase::empty().await;
    db.execute("CREATE SCHEMA elsewhere").await;
    let pooler = PgBouncer::before(&db.url, &[]).await;
    let urls = [db.url.clone(), pooler.url(&db.url)];
    for (event, url) in payments(2).iter().zip(&urls) {
        let settings = PoolSettings {
            parameters: vec![("search_path".to_owned(), "elsewhere".to_owned())],
            ..pool_settings(url)
        };
        migrate(&settings).await.unwrap();
        let pool = Pool::new(&settings).unwrap();
        committed(&pool, event).await;
    }
    let stored: i64 = db
        .value("SELECT count(*) FROM elsewhere.webhook_events")
        .await;
    assert_eq!(stored, 2);
    let outside = "SELECT to_regclass('public.webhook_events') IS NULL";
    assert!(db.value::<bool>(outside).await);
}

#[tokio::test]
async fn a_pooler_that_hides_is_known_by_lost_statements() {
    let store = Store::migrated().await;
    // The session loses its statements, as if it were another one.
    store
        .execute(
            "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$; \
             CREATE TRIGGER forget AFTER INSERT ON event_identities EXECUTE FUNCTION forget()",
        )
        .await;
    let (first, second) = (captured("e1"), captured("e2"));
    let denied = Pool::new(&PoolSettings {
        pooler: Pooler::None,
        ..pool_settings(&store.url)
    });
    let denied = denied.unwrap();
    committed(&denied, &first).await;
    for _ in 0..2 {
        refused(&denied, [&second], Recovery::Wait).await;
    }

    // Several connections lose theirs at the same time, and none of them is used again.
    let events = payments(4);
    let all = || events.iter();
    join_all(all().map(|event| committed(&store.pool, event))).await;
    join_all(all().map(|event| refused(&store.pool, [event], Recovery::Wait))).await;
    for _ in 0..2 {
        join_all(all().map(|event| committed(&store.pool, event))).await;
    }
    assert!(store.pool.is_pooled());
}

#[tokio::test]
async fn default_partitions_are_converted_through_a_pooler_while_events_are_committed() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 1000, "now()").await;
    receive(&store, "july", 10, "'2019-07-01 00:00Z'").await;
    let pooler = PgBouncer::before(&store.url, &[("default_pool_size", "3")]).await;
    let pools: Vec<Pool> = (0..3).map(|_| pool(&pooler, &store)).collect();
    let events = payments(100);
    let committing = events.iter().map(|event| committed(&pools[0], event));
    let converting = join_all(pools[1..].iter().map(ensure));
    let (_, converted) = tokio::join!(join_all(committing), converting);
    for converted in converted {
        converted.unwrap();
    }
    // One of them may have found the other at work.
    ensure(&pools[1]).await.unwrap();
    assert_eq!(store.count("webhook_events_default").await, 0);
    let this_month = format!("webhook_events_{month}");
    assert_eq!(store.count(&this_month).await, 1100);
    assert_eq!(store.count("webhook_events_2019_07").await, 10);
    let left = "pg_constraint WHERE conname LIKE 'harkara_months%' OR NOT convalidated";
    assert_eq!(store.count(left).await, 0);
}

#[tokio::test]
async fn the_bounds_of_locks_and_statements_hold_through_a_pooler() {
    let store = Store::migrated().await;
    let pooler = PgBouncer::before(&store.url, &[]).await;
    let settings = pool_settings(&pooler.url(&store.url));
    let event = captured("e1");
    store.execute("BEGIN; LOCK TABLE audit_logs").await;
    for (lock_timeout, statement_timeout, recovery) in [
        (Some(200), 10_000, Recovery::FindLock),
        (None, 500, Recovery::Split),
    ] {
        let pool = Pool::new(&PoolSettings {
            lock_timeout: lock_timeout.map(Duration::from_millis),
            statement_timeout: Duration::from_millis(statement_timeout),
            ..settings.clone()
        });
        refused(&pool.unwrap(), [&event], recovery).await;
    }
    store.execute("ROLLBACK").await;
    committed(&Pool::new(&settings).unwrap(), &event).await;
}

#[tokio::test]
async fn a_pooler_that_has_no_session_to_lend_says_so() {
    let db = TestDatabase::migrated().await;
    let settings = [("default_pool_size", "1"), ("query_wait_timeout", "1")];
    let pooler = PgBouncer::before(&db.url, &settings).await;
    let other = TestDatabase::at(pooler.url(&db.url)).await;
    other.execute("BEGIN").await;
    let pool = Pool::new(&PoolSettings {
        connect_timeout: Duration::from_secs(30),
        ..pool_settings(&pooler.url(&db.url))
    });
    let error = ledger_id(&pool.unwrap()).await.unwrap_err().full();
    assert!(error.contains("query_wait_timeout"), "{error}");
}
