//! A graceful stop finishes what is in flight and leaves nothing behind.

use harkara_core::lane::Lane;
use harkara_testkit::{Signal, full_pipe, send_signal};

use crate::pipeline::{BOUND, Pipeline, until};

#[tokio::test]
async fn a_stop_under_load_leaves_nothing_claimed_and_no_consumer() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(300).await;
    let worker = pipeline.worker(&[("worker.batch_entries_max", "10")]).await;
    until("an event is processed", async || {
        pipeline.events("processed").await > 0
    })
    .await;
    worker.stop().await;
    for lane in Lane::ALL {
        assert_eq!(pipeline.pending(lane).await, 0, "{lane}");
        assert_eq!(pipeline.consumers(lane).await, [] as [&str; 0], "{lane}");
    }
    // The other entries wait for the next worker, and none is lost or processed twice.
    let left = i64::try_from(pipeline.length(Lane::Default).await).unwrap();
    assert_eq!(pipeline.events("processed").await + left, 300);
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 300).await;
    assert_eq!(pipeline.sum("duplicates").await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_beyond_its_deadline_and_leaves_the_rest_pending() {
    let mut pipeline = Pipeline::start().await;
    pipeline.hold_commits().await;
    pipeline.deliver_payments(1).await;
    let worker = pipeline.worker(&[("worker.stop_deadline_ms", "300")]).await;
    pipeline.until_pending(Lane::Default, 1).await;
    worker.stop().await;
    assert_eq!(pipeline.pending(Lane::Default).await, 1);
    let consumers = pipeline.consumers(Lane::Default).await;
    assert_eq!(consumers.len(), 1, "it must keep its pending entry");

    pipeline.unlock().await;
    let next = [("worker.consumer", "next"), ("worker.claim_idle_ms", "300")];
    let worker = pipeline.worker(&next).await;
    pipeline.until_events("processed", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn signals_that_ask_for_a_stop_end_the_process_with_success_and_others_do_nothing() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let mut pipeline = Pipeline::start().await;
        pipeline.deliver_payments(1).await;
        let mut process = pipeline.worker_process(&[]);
        pipeline.until_events("processed", 1).await;
        for other in [Signal::USR1, Signal::USR2, Signal::PIPE, Signal::XFSZ] {
            send_signal(&process, other);
        }
        pipeline.deliver_payments(1).await;
        pipeline.until_events("processed", 2).await;
        send_signal(&process, signal);
        let ended = tokio::time::timeout(BOUND, process.wait())
            .await
            .expect("it ends in time")
            .unwrap();
        assert_eq!(ended.code(), Some(0), "{signal:?}");
        assert_eq!(pipeline.consumers(Lane::Default).await, [] as [&str; 0]);
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_neither_work_nor_a_stop() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(1).await;
    let (_reader, writer) = full_pipe();
    let mut process = pipeline.worker_process_with_log(writer, &[("log.level", "debug")]);
    pipeline.until_events("processed", 1).await;
    send_signal(&process, Signal::TERM);
    let ended = tokio::time::timeout(BOUND, process.wait()).await;
    let ended = ended.expect("it ends in time").unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(pipeline.consumers(Lane::Default).await, [] as [&str; 0]);
}
