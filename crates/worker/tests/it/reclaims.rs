//! The entries of a dead worker are reclaimed; those of a live one are not.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamPendingCountReply, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, cmd};

use crate::pipeline::{Pipeline, until};

/// Starts a worker under this name, and kills it while it has claimed these new events of a lane.
async fn leave_pending(
    pipeline: &mut Pipeline,
    consumer: &str,
    (lane, event, n_events): (Lane, &str, usize),
) {
    pipeline.hold_commits().await;
    pipeline.deliver_new(event, n_events).await;
    let mut killed = pipeline.worker_process(&[("worker.consumer", consumer)]);
    pipeline.until_pending(lane, n_events as u64).await;
    killed.kill().await.unwrap();
    pipeline.unlock().await;
}

/// Creates the group of the default lane, and claims some entries for the consumer `dead`.
async fn claim_as_dead(redis: &mut MultiplexedConnection, n_entries: usize) -> Vec<String> {
    let key = RedisKeys::default().stream(Lane::Default);
    let () = redis
        .xgroup_create(&key, CONSUMER_GROUP, "0")
        .await
        .unwrap();
    let options = StreamReadOptions::default()
        .group(CONSUMER_GROUP, "dead")
        .count(n_entries);
    let reply: StreamReadReply = redis
        .xread_options(&[&key], &[">"], &options)
        .await
        .unwrap();
    let entries = reply.keys[0].ids.iter();
    entries.map(|entry| entry.id.clone()).collect()
}

#[tokio::test]
async fn the_entries_of_a_killed_worker_are_reclaimed() {
    let mut pipeline = Pipeline::start().await;
    let entries = (Lane::Default, "payment.captured", 25);
    leave_pending(&mut pipeline, "killed", entries).await;
    let heir = [
        ("worker.consumer", "heir"),
        ("worker.claim_idle_ms", "300"),
        ("worker.consumer_idle_ms", "301"),
    ];
    let worker = pipeline.worker(&heir).await;
    pipeline.until_processed(25).await;
    assert_eq!(pipeline.count("payment_transactions").await, 25);
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_reclaims_its_own_entries_at_once() {
    let mut pipeline = Pipeline::start().await;
    let entries = (Lane::Normal, "invoice.paid", 1);
    leave_pending(&mut pipeline, "pod-1", entries).await;
    // The claim time is far beyond the bound of this test: only the name makes the entry its own.
    let settings = [
        ("worker.consumer", "pod-1"),
        ("worker.claim_idle_ms", "3000000"),
        ("worker.consumer_idle_ms", "3600000"),
    ];
    let worker = pipeline.worker(&settings).await;
    pipeline.until_processed(1).await;
    worker.stop().await;
}

#[tokio::test]
async fn the_entries_of_a_live_worker_are_not_reclaimed() {
    let mut pipeline = Pipeline::start().await;
    pipeline.hold_commits().await;
    pipeline.deliver_payments(1).await;
    let short = |name| {
        [
            ("worker.consumer", name),
            ("worker.claim_idle_ms", "1500"),
            ("worker.consumer_idle_ms", "3600000"),
        ]
    };
    let holder = pipeline.worker(&short("holder")).await;
    pipeline.until_pending(Lane::Default, 1).await;
    let other = pipeline.worker(&short("other")).await;

    // Six renewals take two claim times: without them the other would have reclaimed the entry.
    let mut redis = pipeline.redis().await;
    let (mut renewals, mut idle_before) = (0, 0);
    until("the claim was renewed six times", async || {
        let key = RedisKeys::default().stream(Lane::Default);
        let reply = redis.xpending_count(key, CONSUMER_GROUP, "-", "+", 10);
        let pending: StreamPendingCountReply = reply.await.unwrap();
        let entry = pending.ids.last().expect("an entry is pending");
        assert_eq!(entry.consumer, "holder");
        renewals += u32::from(entry.last_delivered_ms < idle_before);
        idle_before = entry.last_delivered_ms;
        renewals == 6
    })
    .await;
    pipeline.unlock().await;
    pipeline.until_processed(1).await;
    assert_eq!(pipeline.sum("duplicates").await, 0);
    holder.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn an_entry_that_ends_its_workers_becomes_a_dead_letter() {
    let mut pipeline = Pipeline::start().await;
    let poison = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&poison).await;
    pipeline.deliver_payments(1).await;
    let mut redis = pipeline.redis().await;
    let ids = claim_as_dead(&mut redis, 2).await;
    // As if five workers had died with the first, and one with the second.
    for (id, claims) in ids.iter().zip(["5", "1"]) {
        let () = cmd("XCLAIM")
            .arg(&[
                &RedisKeys::default().stream(Lane::Default),
                CONSUMER_GROUP,
                "dead",
                "0",
                id,
            ])
            .arg(&["IDLE", "1000", "RETRYCOUNT", claims, "JUSTID"])
            .query_async(&mut redis)
            .await
            .unwrap();
    }
    let settings = [("worker.claim_idle_ms", "300"), ("worker.claims_max", "5")];
    let worker = pipeline.worker(&settings).await;
    pipeline.until_events("failed", 1).await;
    pipeline.until_processed(1).await;
    let error =
        "SELECT error FROM webhook_events WHERE razorpay_event_id = $1 AND status = 'failed'";
    let error: String = pipeline.database.value_of(error, &[&poison.event_id]).await;
    assert!(
        error.starts_with("set aside unread: claimed 5 times"),
        "{error}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_group_that_is_lost_while_reclaimed_entries_wait_loses_no_entry() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(12).await;
    let mut redis = pipeline.redis().await;
    claim_as_dead(&mut redis, 4).await;
    pipeline.hold_commits().await;
    let one_at_a_time = [
        ("worker.batches_in_flight_max", "1"),
        ("worker.batch_entries_max", "4"),
        ("worker.claim_idle_ms", "600"),
    ];
    let worker = pipeline.worker(&one_at_a_time).await;
    // The reader holds the only permit; the reclaimed entries wait for it.
    let key = RedisKeys::default().stream(Lane::Default);
    until("the dead worker's entries are reclaimed", async || {
        let reply = redis.xpending_consumer_count(&key, CONSUMER_GROUP, "-", "+", 10, "dead");
        let dead: StreamPendingCountReply = reply.await.unwrap();
        dead.ids.is_empty() && pipeline.pending(Lane::Default).await >= 8
    })
    .await;
    let () = redis.xgroup_destroy(&key, CONSUMER_GROUP).await.unwrap();
    pipeline.unlock().await;
    pipeline.until_processed(12).await;
    worker.stop().await;
}

#[tokio::test]
async fn restarts_while_nothing_can_be_committed_do_not_count_against_an_entry() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(1).await;
    pipeline.hold_commits().await;
    let n_waiting = async |n_commits: i64| {
        let waiting = "pg_locks WHERE NOT granted AND relation = 'event_identities'::regclass";
        until(&format!("{n_commits} commits wait"), async || {
            pipeline.count(waiting).await == n_commits
        })
        .await;
    };
    for _ in 0..4 {
        let hasty = [
            ("worker.consumer", "pod-1"),
            ("worker.stop_deadline_ms", "0"),
            ("worker.claims_max", "3"),
        ];
        let worker = pipeline.worker(&hasty).await;
        n_waiting(1).await;
        worker.stop().await;
        n_waiting(0).await;
    }
    pipeline.unlock().await;
    // Another worker claims it immediately, though the claim time is far beyond the bound of this test.
    let other = [
        ("worker.claim_idle_ms", "60000"),
        ("worker.claims_max", "3"),
    ];
    let worker = pipeline.worker(&other).await;
    pipeline.until_processed(1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_killed_with_leased_rows_makes_no_dead_letters_of_them() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.deliver_payments(5).await;
    pipeline.until_events("processed", 5).await;
    worker.stop().await;
    assert_eq!(pipeline.replay_all().await, 5);
    // Holds up the commit of rows, so that workers die with them; the last kills hit one row alone.
    pipeline.lock("payment_transactions").await;
    let settings = [("worker.lease_ms", "500"), ("worker.attempts_max", "1")];
    for attempts in [5, 6, 7] {
        let mut killed = pipeline.worker_process(&settings);
        until("rows are leased", async || {
            pipeline.sum("attempts").await >= attempts
        })
        .await;
        killed.kill().await.unwrap();
        assert_eq!(pipeline.sum("attempts").await, attempts);
    }
    pipeline.unlock().await;
    let worker = pipeline.worker(&settings).await;
    pipeline.until_events("processed", 5).await;
    worker.stop().await;
}
