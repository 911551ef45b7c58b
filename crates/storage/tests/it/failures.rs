//! A commit that fails leaves nothing, says how to recover, and can be repeated.

use std::time::Duration;

use futures_util::future::join_all;
use harkara_simulator::SimulatedEvent;
use harkara_storage::commit::CommittedBatch;
use harkara_storage::{Pool, PoolSettings, Recovery, StorageError};
use harkara_testkit::{pool_settings, wait_until};
use tokio::task::JoinHandle;

use crate::records::{all_claimed, bodies, payment};
use crate::store::{Store, commit, only_duplicates};

/// Rows that a failed commit must not leave.
const EVERYTHING: &str = "(SELECT 1 FROM event_identities UNION ALL SELECT 1 FROM webhook_events \
    UNION ALL SELECT 1 FROM payment_transactions UNION ALL SELECT 1 FROM payment_orders UNION ALL SELECT 1 FROM audit_logs \
    UNION ALL SELECT 1 FROM downtime_events UNION ALL SELECT 1 FROM entity_snapshots) everything";

const SECOND: Duration = Duration::from_secs(1);

/// A pool of one connection.
pub(crate) fn pool_of_one(
    url: &str,
    connect_timeout: Duration,
    statement_timeout: Duration,
) -> Pool {
    Pool::new(&PoolSettings {
        connections_max: 1,
        connect_timeout,
        statement_timeout,
        ..pool_settings(url)
    })
    .unwrap()
}

/// A store whose pool has one connection.
async fn store_of_one(connect_timeout: Duration, statement_timeout: Duration) -> Store {
    let mut store = Store::migrated().await;
    store.pool = pool_of_one(&store.url, connect_timeout, statement_timeout);
    store
}

pub(crate) fn captured(event_id: &str) -> SimulatedEvent {
    payment(event_id, "pay_1", "captured", 10)
}

/// Commits an event in a task, which blocks at a table that is locked, and returns that session's process.
async fn block(
    store: &Store,
    event: &SimulatedEvent,
) -> (JoinHandle<Result<CommittedBatch, StorageError>>, i32) {
    store.execute("BEGIN; LOCK TABLE audit_logs").await;
    let (pool, event) = (store.pool.clone(), event.clone());
    let committing = tokio::spawn(async move { commit(&pool, all_claimed([&event])).await });
    let waiting = "SELECT coalesce(min(pid), 0) FROM pg_locks WHERE NOT granted AND database = \
        (SELECT oid FROM pg_database WHERE datname = current_database())";
    wait_until("the commit waits for the lock", 10 * SECOND, async || {
        store.value::<i32>(waiting).await != 0
    })
    .await;
    (committing, store.value(waiting).await)
}

fn assert_recovery<T>(result: Result<T, StorageError>, recovery: Recovery) -> StorageError {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.recovery(), recovery, "{}", error.full());
    error
}

/// Commits events, which fails.
pub(crate) async fn refused<'a>(
    pool: &Pool,
    events: impl IntoIterator<Item = &'a SimulatedEvent>,
    recovery: Recovery,
) -> StorageError {
    assert_recovery(commit(pool, all_claimed(events)).await, recovery)
}

#[tokio::test]
async fn a_row_that_the_database_refuses_undoes_the_whole_batch() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    store
        .execute("ALTER TABLE payment_transactions ADD CHECK (amount <> 666)")
        .await;
    let mut poison = captured("poison");
    let body = String::from_utf8(poison.body).unwrap();
    poison.body = body.replace("500", "666").into_bytes();
    let [one, two] = ["order.paid", "payment.downtime.started"].map(|name| bodies.event(name));
    let error = refused(&store.pool, [&one, &poison, &two], Recovery::Isolate).await;
    assert!(error.full().contains("payment_transactions"), "{error:?}");
    assert_eq!(store.count(EVERYTHING).await, 0);

    refused(&store.pool, [&poison], Recovery::Isolate).await;
    assert_eq!(store.deliver([&one, &two]).await.processed, 2);
}

#[tokio::test]
async fn an_unavailable_server_is_waited_for() {
    let pool = pool_of_one("postgres://harkara@127.0.0.1:1/none", 2 * SECOND, SECOND);
    refused(&pool, [&captured("evt")], Recovery::Wait).await;
}

#[tokio::test]
async fn a_commit_whose_connection_the_server_closes_can_be_repeated() {
    let store = store_of_one(2 * SECOND, 10 * SECOND).await;
    let event = captured("evt");
    let (committing, pid) = block(&store, &event).await;
    store
        .execute(&format!("SELECT pg_terminate_backend({pid}); ROLLBACK"))
        .await;
    let error = assert_recovery(committing.await.unwrap(), Recovery::Wait);
    assert!(error.ended_the_connection(), "{}", error.full());
    assert_eq!(store.count(EVERYTHING).await, 0);

    assert_eq!(store.deliver([&event]).await.processed, 1);
    assert_eq!(store.deliver([&event]).await, only_duplicates(1));
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_replaced() {
    let store = store_of_one(2 * SECOND, 10 * SECOND).await;
    store.pool.ping().await.unwrap();
    store
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'harkara-test'",
        )
        .await;
    assert_eq!(store.deliver([&captured("evt")]).await.processed, 1);
}

/// The pool has one connection, so the next commit would meet an open transaction.
#[tokio::test]
async fn a_commit_that_was_cut_off_leaves_no_transaction_open() {
    let store = store_of_one(2 * SECOND, Duration::from_millis(400)).await;
    let event = captured("evt");
    store.execute("BEGIN; LOCK TABLE audit_logs").await;
    refused(&store.pool, [&event], Recovery::Split).await;
    store.execute("ROLLBACK").await;
    assert_eq!(store.count(EVERYTHING).await, 0);
    assert_eq!(store.deliver([&event]).await.processed, 1);
    assert_eq!(store.count("webhook_events").await, 1, "seen by others");
}

#[tokio::test]
async fn an_abandoned_commit_frees_its_locks_although_nobody_uses_the_pool() {
    let store = store_of_one(2 * SECOND, 10 * SECOND).await;
    let event = captured("evt");
    let (committing, _) = block(&store, &event).await;
    committing.abort();
    assert!(committing.await.unwrap_err().is_cancelled());
    store.execute("ROLLBACK").await;
    let open = "pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'harkara-test' AND xact_start IS NOT NULL";
    wait_until("its transaction has ended", 5 * SECOND, async || {
        store.count(open).await == 0
    })
    .await;
    assert_eq!(store.count(EVERYTHING).await, 0);
    assert_eq!(store.deliver([&event]).await.processed, 1);
}

#[tokio::test]
async fn a_batch_whose_confirmation_was_lost_can_be_repeated() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let events = ["refund.processed", "payment.downtime.resolved"].map(|name| bodies.event(name));
    // Committed, but the worker died before it acknowledged.
    store.deliver(&events).await;
    let before = store.tables(&["payment_transactions"]).await;
    assert_eq!(store.deliver(&events).await, only_duplicates(2));
    assert_eq!(store.tables(&["payment_transactions"]).await, before);
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_waited_for() {
    let store = store_of_one(2 * SECOND, 10 * SECOND).await;
    let (holding, _) = block(&store, &captured("one")).await;
    let other = payment("two", "pay_2", "captured", 10);
    refused(&store.pool, [&other], Recovery::Wait).await;
    store.execute("ROLLBACK").await;
    assert_eq!(holding.await.unwrap().unwrap().outcome().processed, 1);
}

#[tokio::test]
async fn sessions_of_a_database_that_was_read_only_are_not_kept() {
    let store = Store::migrated().await;
    let configure = async |setting: &str| {
        let alter = format!("format('ALTER DATABASE %I {setting}', current_database())");
        store
            .execute(&format!("DO $$ BEGIN EXECUTE {alter}; END $$"))
            .await;
    };
    configure("SET default_transaction_read_only = on").await;
    let event = captured("evt");
    // Several sessions are open when it ends.
    join_all([(); 2].map(|()| refused(&store.pool, [&event], Recovery::Wait))).await;
    configure("RESET default_transaction_read_only").await;
    assert_eq!(store.deliver([&event]).await.processed, 1);
}
