//! A graceful stop finishes what is in flight and leaves nothing behind.

use harkara_core::lane::Lane;
use harkara_testkit::{Signal, send_signal, wait_until};

use crate::pipeline::{BOUND, Pipeline};

#[tokio::test]
async fn a_stop_under_load_leaves_nothing_claimed_and_no_consumer() {
    let mut pipeline = Pipeline::start().await;
    for _ in 0..300 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    let worker = pipeline.worker(&[("worker.batch_entries_max", "10")]).await;
    wait_until("work has begun", BOUND, async || {
        pipeline.events("processed").await > 0
    })
    .await;
    worker.stop().await;
    for lane in Lane::ALL {
        assert_eq!(pipeline.pending(lane).await, 0, "{lane}");
        assert_eq!(pipeline.consumers(lane).await, [] as [&str; 0], "{lane}");
    }
    // What was not claimed waits for the next worker, and nothing is lost or done twice.
    let left = i64::try_from(pipeline.length(Lane::Default).await).unwrap();
    assert_eq!(pipeline.events("processed").await + left, 300);
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 300).await;
    assert_eq!(
        pipeline
            .database
            .value::<i64>("SELECT sum(duplicates) FROM webhook_events")
            .await,
        0
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_beyond_its_deadline_and_leaves_the_rest_pending() {
    let mut pipeline = Pipeline::start().await;
    pipeline.hold_commits().await;
    let event = pipeline.bodies.event("payment.captured");
    pipeline.deliver(&event).await;
    let worker = pipeline.worker(&[("worker.stop_deadline_ms", "300")]).await;
    wait_until("the entry is claimed", BOUND, async || {
        pipeline.pending(Lane::Default).await == 1
    })
    .await;
    worker.stop().await;
    assert_eq!(pipeline.pending(Lane::Default).await, 1);
    assert_eq!(
        pipeline.consumers(Lane::Default).await.len(),
        1,
        "its consumer must keep what is pending"
    );

    pipeline.release_commits().await;
    let next = [("worker.consumer", "next"), ("worker.claim_idle_ms", "300")];
    let worker = pipeline.worker(&next).await;
    pipeline.until_events("processed", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn sigterm_and_sigint_end_the_process_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut pipeline = Pipeline::start().await;
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
        let mut process = pipeline.worker_process(&[]);
        pipeline.until_events("processed", 1).await;
        send_signal(&process, signal);
        let ended = tokio::time::timeout(BOUND, process.wait())
            .await
            .expect("it ends in time")
            .unwrap();
        assert_eq!(ended.code(), Some(0), "{signal:?}");
        assert_eq!(pipeline.consumers(Lane::Default).await, [] as [&str; 0]);
    }
}
