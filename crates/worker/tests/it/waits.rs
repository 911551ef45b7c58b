//! While a store is away nothing is lost, nothing is blamed, and work resumes by itself.

use harkara_core::lane::Lane;
use harkara_storage::ledger::{EventStatus, ReplaySelection, replay};
use harkara_testkit::{RedisServer, wait_until};
use redis::cmd;

use crate::pipeline::{BOUND, Pipeline};

#[tokio::test]
async fn a_database_that_goes_away_and_returns_costs_no_attempt() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[("worker.batch_entries_max", "5")]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;

    pipeline.database.shut().await;
    for _ in 0..30 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    // Both batches in flight have tried again and again.
    wait_until("the worker has waited several times", BOUND, async || {
        worker.counter("harkara_worker_waits_total").await >= 6
    })
    .await;
    let held = pipeline.pending(Lane::Default).await;
    assert!(
        (1..=15).contains(&held),
        "two batches of at most five are held and one was read ahead, not {held} entries"
    );

    pipeline.database.reopen().await;
    pipeline.until_events("processed", 31).await;
    pipeline.until_drained().await;
    let blamed = "SELECT count(*) FROM webhook_events WHERE attempts > 1 OR error IS NOT NULL OR duplicates > 0";
    assert_eq!(pipeline.database.value::<i64>(blamed).await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_restarts_is_read_on_from() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    redis.kill();
    redis.resume().await;
    // Until the ingress uses Redis again, deliveries go round it; one that was appended must come by it.
    wait_until("an event comes by Redis again", BOUND, async || {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
        let appended = "SELECT count(*) FROM webhook_events WHERE durability = 'appended'";
        pipeline.database.value::<i64>(appended).await >= 2
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_group_that_disappears_is_created_anew_from_the_first_entry() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    let mut redis = pipeline.redis().await;
    let () = cmd("DEL")
        .arg(&Lane::ALL.map(|lane| lane.stream_key(0)))
        .query_async(&mut redis)
        .await
        .unwrap();
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 2).await;
    pipeline.until_drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_table_that_is_locked_for_long_makes_no_dead_letter() {
    let mut pipeline = Pipeline::start().await;
    pipeline
        .database
        .execute("BEGIN; LOCK TABLE payment_transactions IN ACCESS EXCLUSIVE MODE")
        .await;
    let impatient = [
        ("postgres.statement_timeout_ms", "100"),
        ("worker.attempts_max", "1"),
    ];
    let worker = pipeline.worker(&impatient).await;
    for _ in 0..3 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    wait_until("the worker has waited several times", BOUND, async || {
        worker.counter("harkara_worker_waits_total").await >= 4
    })
    .await;
    pipeline.database.execute("ROLLBACK").await;
    pipeline.until_events("processed", 3).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_tried_in_halves() {
    let mut pipeline = Pipeline::start().await;
    // Twenty of these rows exceed the bound of a statement, five do not.
    pipeline
        .database
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$; \
             CREATE TRIGGER slow BEFORE INSERT ON payment_transactions FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    for _ in 0..20 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    let worker = pipeline
        .worker(&[("postgres.statement_timeout_ms", "500")])
        .await;
    pipeline.until_events("processed", 20).await;
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT count(*) FROM webhook_events WHERE attempts > 1")
            .await,
        0
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_replay_that_cannot_be_committed_for_long_costs_no_attempt() {
    let mut pipeline = Pipeline::start().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let impatient = [
        ("postgres.statement_timeout_ms", "100"),
        ("worker.attempts_max", "2"),
    ];
    let worker = pipeline.worker(&impatient).await;
    pipeline.until_events("processed", 1).await;
    pipeline
        .database
        .execute("BEGIN; LOCK TABLE payment_transactions IN ACCESS EXCLUSIVE MODE")
        .await;
    let all = ReplaySelection {
        status: Some(EventStatus::Processed),
        ..ReplaySelection::default()
    };
    assert_eq!(
        replay(&pipeline.database.pool(), &all, "operator:test")
            .await
            .unwrap(),
        1
    );
    // Leased and released several times: the end of its lease moves on.
    let mut ends = std::collections::BTreeSet::new();
    wait_until("it was leased several times", BOUND, async || {
        ends.insert(
            pipeline
                .database
                .value::<Option<String>>("SELECT next_attempt_at::text FROM webhook_events")
                .await,
        );
        ends.len() > 3
    })
    .await;
    pipeline.database.execute("ROLLBACK").await;
    pipeline.until_events("processed", 1).await;
    assert_eq!(
        pipeline
            .database
            .value::<i32>("SELECT attempts FROM webhook_events")
            .await,
        1
    );
    worker.stop().await;
}

#[tokio::test]
async fn rows_that_are_due_do_not_wait_for_a_redis_that_acknowledges_nothing() {
    let redis = RedisServer::start(&[]).await;
    let mut pipeline = Pipeline::start_on(redis.url()).await;
    let worker = pipeline
        .worker(&[("worker.batches_in_flight_max", "1")])
        .await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.until_events("processed", 1).await;
    pipeline.until_drained().await;

    pipeline.hold_commits().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    wait_until("the entry is claimed", BOUND, async || {
        pipeline.pending(Lane::Default).await == 1
    })
    .await;
    redis.pause();
    pipeline.release_commits().await;
    pipeline.until_events("processed", 2).await;
    let all = ReplaySelection {
        status: Some(EventStatus::Processed),
        ..ReplaySelection::default()
    };
    for _ in 0..3 {
        let replayed = replay(&pipeline.database.pool(), &all, "operator:test").await;
        assert_eq!(replayed.unwrap(), 2);
        pipeline.until_events("processed", 2).await;
    }

    redis.unpause();
    pipeline.until_drained().await;
    let duplicates: i64 = pipeline
        .database
        .value("SELECT sum(duplicates) FROM webhook_events")
        .await;
    assert_eq!(duplicates, 0, "it was acknowledged, not delivered again");
    worker.stop().await;
}
