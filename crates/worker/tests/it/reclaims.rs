//! What a dead worker left is taken over; what a live one holds is not.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_storage::ledger::{EventStatus, ReplaySelection, replay};
use harkara_testkit::wait_until;
use redis::cmd;

use crate::pipeline::{BOUND, Pipeline};

#[tokio::test]
async fn the_entries_of_a_killed_worker_are_reclaimed() {
    let mut pipeline = Pipeline::start().await;
    // Holds up every commit, so that the worker dies with entries pending.
    pipeline.hold_commits().await;
    for _ in 0..25 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    let mut killed = pipeline.worker_process(&[("worker.consumer", "killed")]);
    wait_until("the entries are claimed", BOUND, async || {
        pipeline.pending(Lane::Default).await == 25
    })
    .await;
    killed.kill().await.unwrap();
    pipeline.release_commits().await;

    let heir = [
        ("worker.consumer", "heir"),
        ("worker.claim_idle_ms", "300"),
        ("worker.consumer_idle_ms", "301"),
    ];
    let worker = pipeline.worker(&heir).await;
    pipeline.until_events("processed", 25).await;
    pipeline.until_drained().await;
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT count(*) FROM payment_transactions")
            .await,
        25
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_takes_back_its_own_entries_at_once() {
    let mut pipeline = Pipeline::start().await;
    pipeline.hold_commits().await;
    let event = pipeline.bodies.event("invoice.paid");
    pipeline.deliver(&event).await;
    let mut killed = pipeline.worker_process(&[("worker.consumer", "pod-1")]);
    wait_until("the entry is claimed", BOUND, async || {
        pipeline.pending(Lane::Normal).await == 1
    })
    .await;
    killed.kill().await.unwrap();
    pipeline.release_commits().await;

    // The claim time is far beyond the bound of this test: only its own name lets it have the entry.
    let worker = pipeline
        .worker(&[
            ("worker.consumer", "pod-1"),
            ("worker.claim_idle_ms", "3000000"),
            ("worker.consumer_idle_ms", "3600000"),
        ])
        .await;
    pipeline.until_events("processed", 1).await;
    pipeline.until_drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn what_a_live_worker_holds_is_not_taken_from_it() {
    let mut pipeline = Pipeline::start().await;
    pipeline.hold_commits().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let short = |name| {
        [
            ("worker.consumer", name),
            ("worker.claim_idle_ms", "1500"),
            ("worker.consumer_idle_ms", "3600000"),
        ]
    };
    let holder = pipeline.worker(&short("holder")).await;
    wait_until("the entry is claimed", BOUND, async || {
        pipeline.pending(Lane::Default).await == 1
    })
    .await;
    let other = pipeline.worker(&short("other")).await;

    // Six renewals take two claim times: without them the other would have taken the entry.
    let mut redis = pipeline.redis().await;
    let (mut renewals, mut idle_before) = (0, 0);
    wait_until("the claim was renewed six times", BOUND, async || {
        let (owner, idle) = held(&mut redis, Lane::Default).await;
        assert_eq!(owner, "holder");
        renewals += u32::from(idle < idle_before);
        idle_before = idle;
        renewals == 6
    })
    .await;
    pipeline.release_commits().await;
    pipeline.until_events("processed", 1).await;
    pipeline.until_drained().await;
    assert_eq!(
        pipeline
            .database
            .value::<i32>("SELECT duplicates FROM webhook_events")
            .await,
        0
    );
    holder.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn an_entry_that_ends_its_workers_is_set_aside() {
    let mut pipeline = Pipeline::start().await;
    let poison = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&poison).await;
    let neighbour = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&neighbour).await;
    let mut redis = pipeline.redis().await;
    let key = Lane::Default.stream_key(0);
    let () = cmd("XGROUP")
        .arg(&["CREATE", &key, CONSUMER_GROUP, "0"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let read: redis::streams::StreamReadReply = cmd("XREADGROUP")
        .arg(&["GROUP", CONSUMER_GROUP, "dead", "STREAMS", &key, ">"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let ids: Vec<&str> = read.keys[0]
        .ids
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    // As if five workers had died with the first, and one with the second.
    for (id, claims) in [(ids[0], "5"), (ids[1], "1")] {
        let () = cmd("XCLAIM")
            .arg(&[
                &key,
                CONSUMER_GROUP,
                "dead",
                "0",
                id,
                "IDLE",
                "1000",
                "RETRYCOUNT",
                claims,
                "JUSTID",
            ])
            .query_async(&mut redis)
            .await
            .unwrap();
    }
    let worker = pipeline
        .worker(&[("worker.claim_idle_ms", "300"), ("worker.claims_max", "5")])
        .await;
    pipeline.until_events("failed", 1).await;
    pipeline.until_events("processed", 1).await;
    pipeline.until_drained().await;
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
async fn a_group_that_is_lost_while_entries_wait_for_their_turn_loses_no_entry() {
    let mut pipeline = Pipeline::start().await;
    for _ in 0..12 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    let mut redis = pipeline.redis().await;
    let key = Lane::Default.stream_key(0);
    let () = cmd("XGROUP")
        .arg(&["CREATE", &key, CONSUMER_GROUP, "0"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let () = cmd("XREADGROUP")
        .arg(&[
            "GROUP",
            CONSUMER_GROUP,
            "dead",
            "COUNT",
            "4",
            "STREAMS",
            &key,
            ">",
        ])
        .query_async(&mut redis)
        .await
        .unwrap();
    pipeline.hold_commits().await;
    let one_at_a_time = [
        ("worker.batches_in_flight_max", "1"),
        ("worker.batch_entries_max", "4"),
        ("worker.claim_idle_ms", "600"),
    ];
    let worker = pipeline.worker(&one_at_a_time).await;
    // The reader holds the only permit; what was taken over waits for it.
    wait_until(
        "the dead worker's entries are taken over",
        BOUND,
        async || {
            let dead: Vec<(String, String, u64, u64)> = cmd("XPENDING")
                .arg(&[&key, CONSUMER_GROUP, "-", "+", "10", "dead"])
                .query_async(&mut redis)
                .await
                .unwrap();
            dead.is_empty() && pipeline.pending(Lane::Default).await >= 8
        },
    )
    .await;
    let () = cmd("XGROUP")
        .arg(&["DESTROY", &key, CONSUMER_GROUP])
        .query_async(&mut redis)
        .await
        .unwrap();
    pipeline.release_commits().await;
    pipeline.until_events("processed", 12).await;
    pipeline.until_drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn restarts_while_nothing_can_be_committed_do_not_count_against_an_entry() {
    let mut pipeline = Pipeline::start().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    pipeline.hold_commits().await;
    for _ in 0..4 {
        let hasty = [
            ("worker.consumer", "pod-1"),
            ("worker.stop_deadline_ms", "0"),
            ("worker.claims_max", "3"),
        ];
        let worker = pipeline.worker(&hasty).await;
        wait_until("a commit is held up", BOUND, async || {
            pipeline.database.value::<i64>(HELD_UP).await == 1
        })
        .await;
        worker.stop().await;
        wait_until("the commit is rolled back", BOUND, async || {
            pipeline.database.value::<i64>(HELD_UP).await == 0
        })
        .await;
    }
    pipeline.release_commits().await;
    // Another worker has it at once, though the claim time is far beyond the bound of this test.
    let other = [
        ("worker.claim_idle_ms", "60000"),
        ("worker.claims_max", "3"),
    ];
    let worker = pipeline.worker(&other).await;
    pipeline.until_events("processed", 1).await;
    pipeline.until_drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_killed_with_leased_rows_makes_no_dead_letters_of_them() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    for _ in 0..5 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    pipeline.until_events("processed", 5).await;
    worker.stop().await;
    let all = ReplaySelection {
        status: Some(EventStatus::Processed),
        ..ReplaySelection::default()
    };
    let replayed = replay(&pipeline.database.pool(), &all, "operator:test").await;
    assert_eq!(replayed.unwrap(), 5);
    // Holds up the commit of rows, so that workers die with them; the last kills hit one row alone.
    pipeline
        .database
        .execute("BEGIN; LOCK TABLE payment_transactions IN ACCESS EXCLUSIVE MODE")
        .await;
    let settings = [("worker.lease_ms", "500"), ("worker.attempts_max", "1")];
    for attempts in [5, 6, 7] {
        let mut killed = pipeline.worker_process(&settings);
        let begun = "SELECT sum(attempts) FROM webhook_events";
        wait_until("rows are leased", BOUND, async || {
            pipeline.database.value::<i64>(begun).await >= attempts
        })
        .await;
        killed.kill().await.unwrap();
        assert_eq!(pipeline.database.value::<i64>(begun).await, attempts);
    }
    pipeline.database.execute("ROLLBACK").await;
    let worker = pipeline.worker(&settings).await;
    pipeline.until_events("processed", 5).await;
    worker.stop().await;
}

/// Commits that wait for the lock of [`Pipeline::hold_commits`].
const HELD_UP: &str =
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'event_identities'::regclass";

/// Who holds the one pending entry of a lane, and for how many milliseconds without a sign of life.
async fn held(redis: &mut redis::aio::MultiplexedConnection, lane: Lane) -> (String, u64) {
    let mut pending: Vec<(String, String, u64, u64)> = cmd("XPENDING")
        .arg(&[&lane.stream_key(0), CONSUMER_GROUP, "-", "+", "10"])
        .query_async(redis)
        .await
        .unwrap();
    let (_, owner, idle, _) = pending.pop().expect("an entry is pending");
    (owner, idle)
}
