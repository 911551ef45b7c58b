//! What is found in the lanes.

use std::time::Duration;

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_testkit::{TestDatabase, wait_until};

use super::report::{Report, harkara, sound_redis};

/// A pending entry may be reclaimed immediately; one that is not was missed.
const IMPATIENT: [(&str, &str); 3] = [
    ("HARKARA__WORKER__CLAIM_IDLE_MS", "1"),
    ("HARKARA__WORKER__RECLAIM_EVERY_MS", "1"),
    ("HARKARA__WORKER__READ_WAIT_MS", "1"),
];

/// Longer than any wait of these tests takes.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_consumer_that_is_gone_with_its_entries_is_named() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    let mut connection = redis.connection().await;
    let key = Lane::Medium.stream_key(0);
    let mut ask = async |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut connection).await.unwrap();
    };
    for _ in 0..3 {
        ask(&["XADD", &key, "*", "f", "v"]).await;
    }
    let harkara = IMPATIENT.into_iter().fold(
        harkara(&redis.url(), &db.url),
        |harkara, (variable, value)| harkara.with(variable, value),
    );
    let report = Report::of(&harkara, 0, &[]).await;
    report.tells("streams", "lane medium", "3 entries and no consumer group");
    report.has_remedy("streams", "consumers", "start a worker");

    ask(&["XGROUP", "CREATE", &key, CONSUMER_GROUP, "0"]).await;
    let read = [
        "XREADGROUP",
        "GROUP",
        CONSUMER_GROUP,
        "gone-1",
        "COUNT",
        "2",
    ];
    ask(&[&read[..], &["STREAMS", &key, ">"]].concat()).await;
    let found = std::cell::RefCell::new(report);
    wait_until("the consumer is missed", LIMIT, async || {
        let report = Report::of(&harkara, 0, &[]).await;
        let is_stale = report.find("streams", "consumers")["status"] == "warning";
        found.replace(report);
        is_stale
    })
    .await;
    let report = found.into_inner();
    report.tells("streams", "consumers", "gone-1 has been silent");
    report.tells("streams", "consumers", "holds 2 entries");
    report.tells("streams", "lane medium", "3 entries, 2 pending, the oldest");
    report.tells("streams", "lane medium", "sign of life");
    report.tells("streams", "lane normal", "no consumer group yet");
}

#[tokio::test]
async fn a_key_of_another_kind_is_a_problem_of_its_lane_alone() {
    let redis = sound_redis(&[]).await;
    let mut connection = redis.connection().await;
    let set = [&Lane::Critical.stream_key(0), "not a stream"];
    let mut command = redis::cmd("SET");
    command.arg(&set[..]);
    command.exec_async(&mut connection).await.unwrap();
    let db = TestDatabase::migrated().await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["streams: lane critical"]);
    report.tells("streams", "lane critical", "harkara:{0}:critical");
}
