//! Against a real Redis: every case in which a group's `lag` is unknown, misleading or unavailable.

mod lanes;

use std::future::ready;
use std::time::Duration;

use harkara_core::backlog::{Consumers, Figures, LedgerLane, LedgerSample};
use harkara_core::lane::{CONSUMER_GROUP, LANES, Lane};
use harkara_testkit::{RedisServer, free_port, wait_until};
use redis::Value;

use lanes::Lanes;

use super::sample::PENDING_LOOKUPS_MAX;
use super::{Latest, Report};

const BOUND: Duration = Duration::from_secs(20);

fn lane(report: &Report) -> Figures {
    assert!(report.is_complete(), "{report:?}");
    report.backlog.as_ref().expect("it is complete").lanes[Lane::Normal.index()]
}

#[tokio::test]
async fn a_missing_stream_is_an_empty_backlog() {
    let mut lanes = Lanes::new().await;
    let report = lanes.observer.sample().await;
    assert!(report.is_complete());
    let total = report.backlog.expect("Redis answered").total;
    assert_eq!((total.backlog, total.oldest_age_s), (Some(0), None));
    assert_eq!(total.seconds_to_drain, Some(0.0));
    let keys: u64 = lanes.run("DBSIZE").await;
    assert_eq!(keys, 0, "looking creates nothing");
}

#[tokio::test]
async fn without_a_group_everything_is_undelivered() {
    let mut lanes = Lanes::new().await;
    lanes.append(1, 7).await;
    assert_eq!(lanes.counts().await, (7, 7, 0));
}

#[tokio::test]
async fn pending_entries_are_backlog_until_they_are_removed() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append(1, 10).await;
    lanes.claim(10).await;
    assert_eq!(lanes.lag().await, Value::Int(0), "lag calls this idle");
    assert_eq!(lanes.counts().await, (10, 0, 10));
    lanes.remove(1..4).await;
    assert_eq!(lanes.counts().await, (7, 0, 7));
    lanes.append(20, 5).await;
    assert_eq!(lanes.counts().await, (12, 5, 7));
}

#[tokio::test]
async fn entries_deleted_in_front_of_the_last_delivered_are_not_counted() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append(1, 10).await;
    lanes.claim(4).await;
    let deleted: u64 = lanes.run("XDEL KEY 7-0 8-0").await;
    assert_eq!(deleted, 2);
    assert_eq!(lanes.lag().await, Value::Nil, "lag is unknown");
    assert_eq!(lanes.counts().await, (8, 4, 4));
}

#[tokio::test]
async fn entries_deleted_while_pending_are_not_counted() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append(1, 10).await;
    lanes.claim(6).await;
    let deleted: u64 = lanes.run("XDEL KEY 2-0 5-0").await;
    assert_eq!(deleted, 2);
    assert_eq!(lanes.counts().await, (8, 4, 4));
}

#[tokio::test]
async fn entries_trimmed_behind_and_in_front_of_the_last_delivered_are_not_counted() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append(1, 10).await;
    lanes.claim(6).await;
    let trimmed: u64 = lanes.run("XTRIM KEY MINID = 4-0").await;
    assert_eq!(trimmed, 3);
    assert_eq!(lanes.counts().await, (7, 4, 3));
    let trimmed: u64 = lanes.run("XTRIM KEY MAXLEN = 2").await;
    assert_eq!(trimmed, 5);
    assert_eq!(lanes.counts().await, (2, 2, 0));
    let _: u64 = lanes.run("XTRIM KEY MAXLEN = 0").await;
    assert_eq!(lanes.counts().await, (0, 0, 0));
}

#[tokio::test]
async fn a_group_created_at_an_arbitrary_id_hides_nothing() {
    let mut lanes = Lanes::new().await;
    lanes.append(1, 10).await;
    // Something else was removed before, so that Redis cannot tell how many stand before the id.
    let _: u64 = lanes.run("XDEL KEY 3-0").await;
    lanes.create_group("6-0").await;
    assert_eq!(lanes.lag().await, Value::Nil, "lag is unknown");
    assert_eq!(lanes.counts().await, (9, 9, 0));
    lanes.claim(2).await;
    assert_eq!(lanes.counts().await, (9, 7, 2));
}

#[tokio::test]
async fn a_group_at_the_end_of_its_stream_hides_nothing() {
    let mut lanes = Lanes::new().await;
    lanes.append(1, 3).await;
    lanes.create_group("$").await;
    assert_eq!(lanes.counts().await, (3, 3, 0));
}

#[tokio::test]
async fn above_the_lookup_bound_pending_is_what_redis_reports_and_the_backlog_is_exact() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    let n_entries = PENDING_LOOKUPS_MAX + 10;
    lanes.append(1, n_entries).await;
    lanes.claim(n_entries).await;
    let _: u64 = lanes.run("XDEL KEY 5-0").await;
    lanes.append(n_entries + 1, 2).await;
    assert_eq!(
        lanes.counts().await,
        (n_entries + 1, 1, n_entries),
        "one that is gone is taken for pending"
    );
    lanes.remove(10..20).await;
    let left = n_entries - 11;
    assert_eq!(lanes.counts().await, (left + 2, 2, left));
}

#[tokio::test]
async fn a_cluster_answers_for_all_lanes_of_a_partition_at_once() {
    let bus = free_port().to_string();
    let server = RedisServer::start(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await;
    let mut lanes = Lanes::on(&server.url(), 11).await;
    let () = lanes.run("CLUSTER ADDSLOTSRANGE 0 16383").await;
    wait_until("the cluster takes commands", BOUND, async || {
        let told: String = lanes.run("CLUSTER INFO").await;
        told.contains("cluster_state:ok")
    })
    .await;
    lanes.create_group("0").await;
    lanes.append(1, 5).await;
    lanes.claim(2).await;
    assert_eq!(lanes.counts().await, (5, 3, 2));
}

#[tokio::test]
async fn a_newer_redis_answers_the_same() {
    let server = RedisServer::start_with_waitaof(&[]).await;
    let mut lanes = Lanes::on(&server.url(), 0).await;
    lanes.create_group("0").await;
    lanes.append(1, 10).await;
    lanes.claim(6).await;
    let _: u64 = lanes.run("XDEL KEY 2-0 8-0").await;
    assert_eq!(lanes.counts().await, (8, 3, 5));
    lanes.remove(3..6).await;
    let figures = lanes.figures().await;
    assert_eq!((figures.entries, figures.pending), (5, 2));
    assert!(figures.drained_per_s > Some(0.0), "{figures:?}");
}

#[tokio::test]
async fn ages_follow_the_clock_of_redis() {
    let mut lanes = Lanes::new().await;
    let (seconds, _): (u64, u64) = lanes.run("TIME").await;
    lanes.append((seconds - 3600) * 1000, 1).await;
    lanes.create_group("$").await;
    let age = lanes.figures().await.oldest_age_s.expect("there is one");
    assert!((3600.0..3700.0).contains(&age), "{age}");
}

#[tokio::test]
async fn rates_are_those_of_all_consumers_together() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append(1, 100).await;
    lanes.claim(100).await;
    let before = lanes.figures().await;
    assert_eq!(before.drained_per_s, None);
    assert_eq!(before.seconds_to_drain, None);

    lanes.remove(1..21).await;
    lanes.append(200, 40).await;
    let after = lanes.figures().await;
    let (came, left) = (
        after.arrivals_per_s.expect("two looks"),
        after.drained_per_s.expect("two looks"),
    );
    assert!((came / left - 2.0).abs() < 0.01, "{after:?}");
    let drained_in = after.seconds_to_drain.expect("something leaves");
    assert!((drained_in - 120.0 / left).abs() < 0.01, "{after:?}");
}

#[tokio::test]
async fn a_lost_stream_has_no_rate_until_the_next_sample() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append(1, 100).await;
    assert_eq!(lanes.counts().await, (100, 100, 0));
    let () = lanes.run("DEL KEY").await;
    lanes.append(500, 3).await;
    let lost = lanes.figures().await;
    assert_eq!((lost.entries, lost.drained_per_s), (3, None));
    assert!(lanes.figures().await.drained_per_s.is_some());
}

#[tokio::test]
async fn a_key_of_another_type_is_a_fault_and_not_zero() {
    let mut lanes = Lanes::new().await;
    let () = lanes.run("SET KEY text").await;
    let report = lanes.observer.sample().await;
    assert!(report.backlog.is_none() && !report.is_complete());
    assert!(report.faults()["redis"].contains("WRONGTYPE"), "{report:?}");
}

#[tokio::test]
async fn without_redis_the_last_known_backlog_is_reported_as_stale() {
    let mut server = RedisServer::start(&[]).await;
    let mut lanes = Lanes::on(&server.url(), 0).await;
    lanes.append(1, 5).await;
    let latest = Latest::default();
    let at_start = latest.report();
    assert!(!at_start.is_complete() && at_start.backlog.is_none());

    latest.publish(lanes.observer.sample().await);
    server.kill();
    latest.publish(lanes.observer.sample().await);
    let report = latest.report();
    assert!(!report.is_complete());
    let json = serde_json::to_value(report.json()).expect("it is JSON");
    assert_eq!(json["complete"], false);
    assert_eq!(json["total"]["backlog"], 5);
    assert!(json["faults"]["redis"].is_string(), "{json}");
}

#[tokio::test]
async fn without_the_ledger_the_streams_are_known_and_the_sum_is_not() {
    let mut lanes = Lanes::new().await;
    lanes.append(1, 5).await;
    lanes.observer.sample_ledger = Box::new(|| Box::pin(ready(Err("away".to_owned()))));
    let report = lanes.observer.sample().await;
    assert_eq!(report.faults()["postgres"], "away");
    let backlog = report.backlog.expect("Redis answered");
    let total = backlog.total;
    assert_eq!((total.entries, total.backlog), (5, None));
    assert_eq!(backlog.dead_letters, None);
}

#[tokio::test]
async fn a_consumer_active_in_one_lane_is_alive() {
    let mut lanes = Lanes::new().await;
    let consumers = async |lanes: &mut Lanes| {
        let report = lanes.observer.sample().await;
        let Consumers { alive, stale } = report.backlog.expect("Redis answered").consumers;
        (alive, stale)
    };
    assert_eq!(consumers(&mut lanes).await, (0, 0), "no stream");
    lanes.append(1, 2).await;
    assert_eq!(consumers(&mut lanes).await, (0, 0), "no group");
    lanes.create_group("0").await;
    lanes.claim(1).await;
    assert_eq!(consumers(&mut lanes).await, (1, 0));
    // In another lane: the same one, and one more.
    lanes.key = Lane::Critical.stream_key(0);
    lanes.create_group("0").await;
    for name in ["someone", "another"] {
        let create = format!("XGROUP CREATECONSUMER KEY {CONSUMER_GROUP} {name}");
        let () = lanes.run(&create).await;
    }
    assert_eq!(consumers(&mut lanes).await, (2, 0));
    lanes.observer.streams.quiet_max = Duration::ZERO;
    wait_until("both have been idle", BOUND, async || {
        consumers(&mut lanes).await == (0, 2)
    })
    .await;
    lanes.claim(1).await;
    lanes.observer.streams.quiet_max = BOUND;
    assert_eq!(consumers(&mut lanes).await, (2, 0));
}

#[tokio::test]
async fn due_rows_are_added() {
    let mut lanes = Lanes::new().await;
    lanes.append(1, 5).await;
    let due = LedgerLane {
        due: 3,
        oldest_age: Some(Duration::from_secs(9)),
    };
    lanes.observer.sample_ledger = Box::new(move || {
        Box::pin(ready(Ok(LedgerSample {
            lanes: [due; LANES],
            estimated: true,
            dead_letters: 7,
        })))
    });
    let report = lanes.observer.sample().await;
    let backlog = report.backlog.expect("Redis answered");
    assert_eq!(backlog.total.backlog, Some(5 + 3 * 4));
    assert!(backlog.ledger_estimated);
    assert_eq!(backlog.dead_letters, Some(7));
}
