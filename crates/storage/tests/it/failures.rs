//! A commit that fails leaves nothing, says what to do, and can be repeated.

use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_storage::commit::Outcome;
use harkara_storage::{Pool, PoolSettings, Recovery};
use harkara_testkit::{TestDatabase, wait_until};

use crate::records::{all_claimed, bodies, commit, deliver, payment};

/// Rows that a failed commit must not leave.
const EVERYTHING: &str = "SELECT (SELECT count(*) FROM event_identities) + (SELECT count(*) FROM webhook_events) + \
    (SELECT count(*) FROM payment_transactions) + (SELECT count(*) FROM payment_orders) + (SELECT count(*) FROM audit_logs) + \
    (SELECT count(*) FROM downtime_events) + (SELECT count(*) FROM entity_snapshots)";

/// A pool of one connection to a URL.
fn pool_of_one(url: &str, statement_timeout: Duration) -> Pool {
    Pool::new(&PoolSettings {
        url: Secret::new(url),
        tls: None,
        application: "harkara-test",
        connections_max: 1,
        connect_timeout: Duration::from_secs(2),
        statement_timeout,
    })
    .unwrap()
}

/// Waits until a session that is not our own waits for a lock; gives its process.
async fn blocked(db: &TestDatabase) -> i32 {
    let waiting = "SELECT coalesce(min(pid), 0) FROM pg_locks WHERE NOT granted AND database = \
        (SELECT oid FROM pg_database WHERE datname = current_database())";
    wait_until(
        "the commit waits for the lock",
        Duration::from_secs(10),
        async || db.value::<i32>(waiting).await != 0,
    )
    .await;
    db.value(waiting).await
}

#[tokio::test]
async fn one_row_that_the_database_refuses_undoes_the_whole_batch_which_is_then_split() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    db.execute("ALTER TABLE payment_transactions ADD CHECK (amount <> 666)")
        .await;
    let mut poison = payment("poison", "pay_poison", "captured", 10);
    poison.body = String::from_utf8(poison.body)
        .unwrap()
        .replace("500", "666")
        .into_bytes();
    let (one, two) = (
        bodies.event("order.paid"),
        bodies.event("payment.downtime.started"),
    );
    let pool = db.pool();
    let error = commit(&pool, all_claimed([&one, &poison, &two]))
        .await
        .unwrap_err();
    assert_eq!(error.recovery(), Recovery::Isolate);
    assert!(
        error.full().contains("payment_transactions"),
        "{}",
        error.full()
    );
    assert_eq!(db.value::<i64>(EVERYTHING).await, 0);

    assert_eq!(
        commit(&pool, all_claimed([&poison]))
            .await
            .unwrap_err()
            .recovery(),
        Recovery::Isolate
    );
    assert_eq!(deliver(&pool, &[&one, &two]).await.processed, 2);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let pool = pool_of_one(
        "postgres://harkara@127.0.0.1:1/none",
        Duration::from_secs(1),
    );
    let error = commit(
        &pool,
        all_claimed([&payment("evt", "pay_1", "captured", 10)]),
    )
    .await
    .unwrap_err();
    assert_eq!(error.recovery(), Recovery::Wait, "{}", error.full());
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_waited_for_and_the_batch_then_commits_once() {
    let db = TestDatabase::migrated().await;
    let pool = pool_of_one(&db.url, Duration::from_secs(10));
    let event = payment("evt", "pay_1", "captured", 10);
    db.execute("BEGIN; LOCK TABLE audit_logs").await;
    let committing = tokio::spawn({
        let (pool, event) = (pool.clone(), event.clone());
        async move { commit(&pool, all_claimed([&event])).await }
    });
    let pid = blocked(&db).await;
    db.execute(&format!("SELECT pg_terminate_backend({pid}); ROLLBACK"))
        .await;
    let error = committing.await.unwrap().unwrap_err();
    assert_eq!(error.recovery(), Recovery::Wait, "{}", error.full());
    assert_eq!(db.value::<i64>(EVERYTHING).await, 0);

    assert_eq!(deliver(&pool, &[&event]).await.processed, 1);
    assert_eq!(
        deliver(&pool, &[&event]).await,
        Outcome {
            duplicates: 1,
            ..Outcome::default()
        }
    );
}

#[tokio::test]
async fn an_idle_connection_that_the_server_ended_is_replaced() {
    let db = TestDatabase::migrated().await;
    let pool = pool_of_one(&db.url, Duration::from_secs(10));
    pool.ping().await.unwrap();
    db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'harkara-test'",
    )
    .await;
    assert_eq!(
        deliver(&pool, &[&payment("evt", "pay_1", "captured", 10)])
            .await
            .processed,
        1
    );
}

/// The pool has one connection, so what a cut-off commit leaves behind would be met by the next one.
#[tokio::test]
async fn a_commit_that_was_cut_off_leaves_no_transaction_open() {
    let db = TestDatabase::migrated().await;
    let pool = pool_of_one(&db.url, Duration::from_millis(400));
    let event = payment("evt", "pay_1", "captured", 10);
    db.execute("BEGIN; LOCK TABLE audit_logs").await;
    let error = commit(&pool, all_claimed([&event])).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Split, "{}", error.full());
    db.execute("ROLLBACK").await;
    assert_eq!(db.value::<i64>(EVERYTHING).await, 0);
    assert_eq!(deliver(&pool, &[&event]).await.processed, 1);
    assert_eq!(
        db.value::<i64>("SELECT count(*) FROM webhook_events").await,
        1,
        "seen by others"
    );
}

#[tokio::test]
async fn a_commit_that_its_worker_gave_up_frees_its_locks_though_nobody_uses_the_pool() {
    let db = TestDatabase::migrated().await;
    let pool = pool_of_one(&db.url, Duration::from_secs(10));
    let event = payment("evt", "pay_1", "captured", 10);
    db.execute("BEGIN; LOCK TABLE audit_logs").await;
    let committing = tokio::spawn({
        let (pool, event) = (pool.clone(), event.clone());
        async move { commit(&pool, all_claimed([&event])).await }
    });
    blocked(&db).await;
    committing.abort();
    assert!(committing.await.unwrap_err().is_cancelled());
    db.execute("ROLLBACK").await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'harkara-test' AND xact_start IS NOT NULL";
    wait_until(
        "its transaction has ended",
        Duration::from_secs(5),
        async || db.value::<i64>(open).await == 0,
    )
    .await;
    assert_eq!(db.value::<i64>(EVERYTHING).await, 0);
    assert_eq!(deliver(&pool, &[&event]).await.processed, 1);
}

#[tokio::test]
async fn a_batch_whose_confirmation_was_lost_is_harmless_when_repeated() {
    let db = TestDatabase::migrated().await;
    let (pool, mut bodies) = (db.pool(), bodies());
    let events = [
        bodies.event("refund.processed"),
        bodies.event("payment.downtime.resolved"),
    ];
    // Committed, but the worker died before it acknowledged.
    let _lost = commit(&pool, all_claimed(&events)).await.unwrap();
    let rows = "SELECT to_jsonb(p) FROM payment_transactions p";
    let before = db.rows(rows).await;
    assert_eq!(
        deliver(&pool, &[&events[0], &events[1]]).await,
        Outcome {
            duplicates: 2,
            ..Outcome::default()
        }
    );
    assert_eq!(db.rows(rows).await, before);
}

#[tokio::test]
async fn a_pool_with_no_free_connection_is_waited_for() {
    let db = TestDatabase::migrated().await;
    let pool = Pool::new(&PoolSettings {
        url: Secret::new(&db.url),
        tls: None,
        application: "harkara-test",
        connections_max: 1,
        connect_timeout: Duration::from_millis(100),
        statement_timeout: Duration::from_secs(10),
    })
    .unwrap();
    db.execute("BEGIN; LOCK TABLE webhook_events").await;
    let holding = tokio::spawn({
        let pool = pool.clone();
        async move {
            commit(
                &pool,
                all_claimed([&payment("one", "pay_1", "captured", 10)]),
            )
            .await
        }
    });
    blocked(&db).await;
    let error = commit(
        &pool,
        all_claimed([&payment("two", "pay_2", "captured", 10)]),
    )
    .await
    .unwrap_err();
    assert_eq!(error.recovery(), Recovery::Wait, "{}", error.full());
    db.execute("ROLLBACK").await;
    assert_eq!(holding.await.unwrap().unwrap().outcome().processed, 1);
}

#[tokio::test]
async fn sessions_of_a_database_that_only_read_for_a_while_are_not_kept() {
    let db = TestDatabase::migrated().await;
    let only_reads = |setting: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {setting}', current_database()); END $$"
        )
    };
    db.execute(&only_reads("SET default_transaction_read_only = on"))
        .await;
    let pool = db.pool();
    let event = payment("evt", "pay_1", "captured", 10);
    // Several sessions are open when it ends.
    let both = tokio::join!(
        commit(&pool, all_claimed([&event])),
        commit(&pool, all_claimed([&event]))
    );
    for refused in [both.0, both.1] {
        assert_eq!(refused.unwrap_err().recovery(), Recovery::Wait);
    }
    db.execute(&only_reads("RESET default_transaction_read_only"))
        .await;
    assert_eq!(deliver(&pool, &[&event]).await.processed, 1);
}
