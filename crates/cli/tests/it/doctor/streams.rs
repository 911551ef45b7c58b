//! What is found in the lanes.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{RedisServer, wait_until};

use super::{Report, sound};
use crate::deployment::BOUND;

async fn ask(redis: &RedisServer, command: &str) {
    let (name, arguments) = command.split_once(' ').unwrap();
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut command = redis::cmd(name);
    let command = command.arg(arguments);
    let mut connection = redis.connection().await;
    command.exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_dead_consumer_with_pending_entries_is_named() {
    let (redis, _database, harkara) = sound().await;
    // A pending entry may be reclaimed immediately; one that is not was missed.
    let harkara = harkara
        .with("HARKARA__WORKER__CLAIM_IDLE_MS", "1")
        .with("HARKARA__WORKER__RECLAIM_EVERY_MS", "1")
        .with("HARKARA__WORKER__READ_WAIT_MS", "1");
    let key = RedisKeys::default().stream(Lane::Medium);
    for _ in 0..3 {
        ask(&redis, &format!("XADD {key} * f v")).await;
    }
    let report = Report::of(&harkara, 0, "").await;
    report.finds("streams: lane medium", "3 entries and no consumer group");
    report.has_remedy("streams: consumers", "start a worker");

    ask(&redis, &format!("XGROUP CREATE {key} {CONSUMER_GROUP} 0")).await;
    let read = format!("XREADGROUP GROUP {CONSUMER_GROUP} gone-1 COUNT 2 STREAMS {key} >");
    ask(&redis, &read).await;
    wait_until("the consumer is missed", BOUND, async || {
        let report = Report::of(&harkara, 0, "").await;
        report.find("streams: consumers")["status"] == "warning"
    })
    .await;
    let report = Report::of(&harkara, 0, "").await;
    report.finds("streams: consumers", "gone-1 has been silent");
    report.finds("streams: consumers", "holds 2 entries");
    report.finds("streams: lane medium", "3 entries, 2 pending, the oldest");
    report.finds("streams: lane medium", "sign of life");
    report.finds("streams: lane normal", "no consumer group yet");
}

#[tokio::test]
async fn a_key_of_another_kind_is_a_problem_of_its_lane_alone() {
    let (redis, _database, harkara) = sound().await;
    let key = RedisKeys::default().stream(Lane::Critical);
    ask(&redis, &format!("SET {key} text")).await;
    let report = Report::of(&harkara, 1, "").await;
    assert_eq!(report.with_status("problem"), ["streams: lane critical"]);
    report.finds("streams: lane critical", "harkara:{0}:critical");
}
