//! Lanes that somebody edits by hand: what was skipped is processed, what was deleted is counted.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::RedisServer;
use redis::cmd;
use redis::streams::StreamRangeReply;

use crate::pipeline::{Pipeline, Worker};

/// Runs a command on the default lane: `KEY` and `GROUP` stand for its stream and its group.
async fn edit(pipeline: &Pipeline, command: &str) {
    let key = RedisKeys::default().stream(Lane::Default);
    let mut words = command.split(' ').map(|word| match word {
        "KEY" => key.as_str(),
        "GROUP" => CONSUMER_GROUP,
        word => word,
    });
    let mut edit = cmd(words.next().expect("a command"));
    for word in words {
        edit.arg(word);
    }
    let mut redis = pipeline.redis().await;
    let _: redis::Value = edit.query_async(&mut redis).await.unwrap();
}

/// Waits until a counter has a value, which it must not exceed.
async fn until_counted(worker: &Worker, counter: &str, expected: u64) {
    worker.until_counter(counter, expected).await;
    assert_eq!(worker.counter(counter).await, expected);
}

/// Five deliveries, of which the consumer `dead` has claimed two.
async fn five_of_which_two_are_claimed(pipeline: &mut Pipeline) {
    pipeline.deliver_payments(5).await;
    edit(pipeline, "XGROUP CREATE KEY GROUP 0").await;
    edit(
        pipeline,
        "XREADGROUP group GROUP dead COUNT 2 STREAMS KEY >",
    )
    .await;
}

#[tokio::test]
async fn entries_that_the_group_has_skipped_are_processed() {
    let mut pipeline = Pipeline::start().await;
    five_of_which_two_are_claimed(&mut pipeline).await;
    edit(&pipeline, "XGROUP SETID KEY GROUP 99999999999999-0").await;
    edit(&pipeline, "XGROUP DELCONSUMER KEY GROUP dead").await;
    let worker = pipeline.worker(&[]).await;
    pipeline.until_processed(5).await;
    pipeline.deliver_payments(5).await;
    pipeline.until_processed(10).await;
    until_counted(&worker, "harkara_worker_entries_skipped_total", 5).await;
    worker.stop().await;
}

#[tokio::test]
async fn entries_that_somebody_deletes_are_counted() {
    // Earlier versions of Redis do not know how many entries were read.
    let server = RedisServer::start_with_waitaof(&["--appendonly", "yes"]).await;
    let mut pipeline = Pipeline::start_on(server.url()).await;
    five_of_which_two_are_claimed(&mut pipeline).await;
    let mut redis = pipeline.redis().await;
    let key = RedisKeys::default().stream(Lane::Default);
    let mut range = cmd("XRANGE");
    range.arg(&[&key, "-", "+"]);
    let entries: StreamRangeReply = range.query_async(&mut redis).await.unwrap();
    // One that is pending, and one that is not.
    let (pending, unread) = (&entries.ids[1].id, &entries.ids[4].id);
    edit(&pipeline, &format!("XDEL KEY {pending} {unread}")).await;
    let settings = [("worker.claim_idle_ms", "300")];
    let worker = pipeline.worker(&settings).await;
    pipeline.until_processed(3).await;
    until_counted(&worker, "harkara_worker_entries_deleted_total", 2).await;
    worker.stop().await;
}
