//! Against a real Redis: every case in which a group's `lag` is unknown, misleading or unavailable.

use std::convert::Infallible;
use std::future::ready;
use std::ops::Range;
use std::time::Duration;

use harkara_core::backlog::{Consumers, Figures, LedgerLane, LedgerSample};
use harkara_core::lane::{LANES, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_testkit::{RedisServer, free_port, redis_database, wait_until};
use redis::streams::StreamInfoGroupsReply;

use super::sample::PENDING_LOOKUPS_MAX;
use super::{Latest, Observer};
use crate::test_redis::{TestRedis, settings};
use crate::{Deployment, pool};

const BOUND: Duration = Duration::from_secs(20);

/// A Redis with its observer. The ledger has no due rows. Tests use the lane `normal`.
struct Lanes {
    redis: TestRedis,
    observer: Observer,
}

impl Lanes {
    async fn new() -> Self {
        Self::on(&redis_database().await, 0).await
    }

    async fn on(url: &str, partition: u16) -> Self {
        let mut settings = settings(url);
        settings.redis.keys = RedisKeys::new(RedisKeys::DEFAULT_PREFIX, partition).unwrap();
        let ledger = || ready(Ok::<_, Infallible>(LedgerSample::default()));
        let redis = pool(&settings.redis);
        Self {
            redis: TestRedis::at(url, partition).await,
            observer: Observer::new(redis, Deployment::of(&settings), &settings.worker, ledger),
        }
    }

    /// Ten entries, of which a consumer has claimed some.
    async fn with_claimed(n_entries: u64) -> Self {
        let mut lanes = Self::new().await;
        lanes.create_group("0").await;
        lanes.append_from(1, 10).await;
        lanes.claim_new(n_entries).await;
        lanes
    }

    /// Appends entries with the ids `from-0` and following.
    async fn append_from(&mut self, from: u64, n_entries: u64) {
        let ids = (from..from + n_entries).map(|id| format!("{id}-0"));
        self.redis.append(Lane::Normal, ids).await;
    }

    async fn create_group(&mut self, from: &str) {
        let create = format!("XGROUP CREATE normal GROUP {from} MKSTREAM");
        let () = self.redis.run(&create).await;
    }

    async fn claim_new(&mut self, n_entries: u64) {
        self.redis.claim("someone", Lane::Normal, n_entries).await;
    }

    /// Runs a command that removes this many entries.
    async fn delete(&mut self, command: &str, n_entries: u64) {
        let deleted: u64 = self.redis.run(command).await;
        assert_eq!(deleted, n_entries, "{command}");
    }

    /// Acknowledges and deletes entries, as workers do after a commit.
    async fn remove(&mut self, ids: Range<u64>) {
        for id in ids {
            self.delete(&format!("XACK normal GROUP {id}-0"), 1).await;
            self.delete(&format!("XDEL normal {id}-0"), 1).await;
        }
    }

    /// What Redis itself calls the group's lag.
    async fn lag(&mut self) -> Option<usize> {
        let groups: StreamInfoGroupsReply = self.redis.run("XINFO GROUPS normal").await;
        groups.groups[0].lag
    }

    async fn figures(&mut self) -> Figures {
        let report = self.observer.sample().await;
        assert!(report.is_complete(), "{report:?}");
        report.backlog.unwrap().lanes[Lane::Normal.index()]
    }

    /// Backlog, undelivered and pending.
    async fn counts(&mut self) -> (u64, u64, u64) {
        let figures = self.figures().await;
        assert_eq!(figures.backlog, Some(figures.entries));
        (figures.entries, figures.undelivered, figures.pending)
    }
}

#[tokio::test]
async fn a_missing_stream_is_an_empty_backlog() {
    let mut lanes = Lanes::new().await;
    let report = lanes.observer.sample().await;
    assert!(report.is_complete());
    let total = report.backlog.unwrap().total;
    assert_eq!((total.backlog, total.oldest_age_s), (Some(0), None));
    assert_eq!(total.seconds_to_drain, Some(0.0));
    let keys: u64 = lanes.redis.run("DBSIZE").await;
    assert_eq!(keys, 0, "sampling creates nothing");
}

#[tokio::test]
async fn without_a_group_everything_is_undelivered() {
    let mut lanes = Lanes::new().await;
    lanes.append_from(1, 7).await;
    assert_eq!(lanes.counts().await, (7, 7, 0));
}

#[tokio::test]
async fn pending_entries_are_backlog_until_they_are_removed() {
    let mut lanes = Lanes::with_claimed(10).await;
    assert_eq!(lanes.lag().await, Some(0), "lag calls this idle");
    assert_eq!(lanes.counts().await, (10, 0, 10));
    lanes.remove(1..4).await;
    assert_eq!(lanes.counts().await, (7, 0, 7));
    lanes.append_from(20, 5).await;
    assert_eq!(lanes.counts().await, (12, 5, 7));
}

#[tokio::test]
async fn entries_deleted_in_front_of_the_last_delivered_are_not_counted() {
    let mut lanes = Lanes::with_claimed(4).await;
    lanes.delete("XDEL normal 7-0 8-0", 2).await;
    assert_eq!(lanes.lag().await, None, "lag is unknown");
    assert_eq!(lanes.counts().await, (8, 4, 4));
}

#[tokio::test]
async fn entries_deleted_while_pending_are_not_counted() {
    let mut lanes = Lanes::with_claimed(6).await;
    lanes.delete("XDEL normal 2-0 5-0", 2).await;
    assert_eq!(lanes.counts().await, (8, 4, 4));
}

#[tokio::test]
async fn entries_trimmed_behind_and_in_front_of_the_last_delivered_are_not_counted() {
    let mut lanes = Lanes::with_claimed(6).await;
    lanes.delete("XTRIM normal MINID = 4-0", 3).await;
    assert_eq!(lanes.counts().await, (7, 4, 3));
    lanes.delete("XTRIM normal MAXLEN = 2", 5).await;
    assert_eq!(lanes.counts().await, (2, 2, 0));
    let _: u64 = lanes.redis.run("XTRIM normal MAXLEN = 0").await;
    assert_eq!(lanes.counts().await, (0, 0, 0));
}

#[tokio::test]
async fn a_group_created_at_an_arbitrary_id_hides_nothing() {
    let mut lanes = Lanes::new().await;
    lanes.append_from(1, 10).await;
    // An entry was removed before, so Redis does not know how many precede the id.
    let _: u64 = lanes.redis.run("XDEL normal 3-0").await;
    lanes.create_group("6-0").await;
    assert_eq!(lanes.lag().await, None, "lag is unknown");
    assert_eq!(lanes.counts().await, (9, 9, 0));
    lanes.claim_new(2).await;
    assert_eq!(lanes.counts().await, (9, 7, 2));
}

#[tokio::test]
async fn a_group_at_the_end_of_its_stream_hides_nothing() {
    let mut lanes = Lanes::new().await;
    lanes.append_from(1, 3).await;
    lanes.create_group("$").await;
    assert_eq!(lanes.counts().await, (3, 3, 0));
}

#[tokio::test]
async fn above_the_lookup_bound_pending_is_what_redis_reports_and_the_backlog_is_exact() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    let n_entries = PENDING_LOOKUPS_MAX + 10;
    lanes.append_from(1, n_entries).await;
    lanes.claim_new(n_entries).await;
    let _: u64 = lanes.redis.run("XDEL normal 5-0").await;
    lanes.append_from(n_entries + 1, 2).await;
    assert_eq!(
        lanes.counts().await,
        (n_entries + 1, 1, n_entries),
        "a deleted one counts as pending"
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
    let () = lanes.redis.run("CLUSTER ADDSLOTSRANGE 0 16383").await;
    wait_until("the cluster takes commands", BOUND, async || {
        let info: String = lanes.redis.run("CLUSTER INFO").await;
        info.contains("cluster_state:ok")
    })
    .await;
    lanes.create_group("0").await;
    lanes.append_from(1, 5).await;
    lanes.claim_new(2).await;
    assert_eq!(lanes.counts().await, (5, 3, 2));
}

#[tokio::test]
async fn a_newer_redis_answers_the_same() {
    let server = RedisServer::start_with_waitaof(&[]).await;
    let mut lanes = Lanes::on(&server.url(), 0).await;
    lanes.create_group("0").await;
    lanes.append_from(1, 10).await;
    lanes.claim_new(6).await;
    let _: u64 = lanes.redis.run("XDEL normal 2-0 8-0").await;
    assert_eq!(lanes.counts().await, (8, 3, 5));
    lanes.remove(3..6).await;
    let figures = lanes.figures().await;
    assert_eq!((figures.entries, figures.pending), (5, 2));
    assert!(figures.drained_per_s > Some(0.0), "{figures:?}");
}

#[tokio::test]
async fn ages_follow_the_clock_of_redis() {
    let mut lanes = Lanes::new().await;
    let (seconds, _): (u64, u64) = lanes.redis.run("TIME").await;
    lanes.append_from((seconds - 3600) * 1000, 1).await;
    lanes.create_group("$").await;
    let age = lanes.figures().await.oldest_age_s.unwrap();
    assert!((3600.0..3700.0).contains(&age), "{age}");
}

#[tokio::test]
async fn rates_are_those_of_all_consumers_together() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append_from(1, 100).await;
    lanes.claim_new(100).await;
    let before = lanes.figures().await;
    assert_eq!(before.drained_per_s, None);
    assert_eq!(before.seconds_to_drain, None);

    lanes.remove(1..21).await;
    lanes.append_from(200, 40).await;
    let after = lanes.figures().await;
    let (arrived, left) = (after.arrivals_per_s.unwrap(), after.drained_per_s.unwrap());
    assert!((arrived / left - 2.0).abs() < 0.01, "{after:?}");
    let drained_in = after.seconds_to_drain.unwrap();
    assert!((drained_in - 120.0 / left).abs() < 0.01, "{after:?}");
}

#[tokio::test]
async fn a_lost_stream_has_no_rate_until_the_next_sample() {
    let mut lanes = Lanes::new().await;
    lanes.create_group("0").await;
    lanes.append_from(1, 100).await;
    assert_eq!(lanes.counts().await, (100, 100, 0));
    let () = lanes.redis.run("DEL normal").await;
    lanes.append_from(500, 3).await;
    let lost = lanes.figures().await;
    assert_eq!((lost.entries, lost.drained_per_s), (3, None));
    assert!(lanes.figures().await.drained_per_s.is_some());
}

#[tokio::test]
async fn a_key_of_another_type_is_a_fault_and_not_zero() {
    let mut lanes = Lanes::new().await;
    let () = lanes.redis.run("SET normal text").await;
    let report = lanes.observer.sample().await;
    assert!(report.backlog.is_none() && !report.is_complete());
    assert!(report.faults()["redis"].contains("WRONGTYPE"), "{report:?}");
}

#[tokio::test]
async fn without_redis_the_last_known_backlog_is_reported_as_stale() {
    let mut server = RedisServer::start(&[]).await;
    let mut lanes = Lanes::on(&server.url(), 0).await;
    lanes.append_from(1, 5).await;
    let latest = Latest::default();
    let at_start = latest.report();
    assert!(!at_start.is_complete() && at_start.backlog.is_none());

    latest.publish(lanes.observer.sample().await);
    server.kill();
    latest.publish(lanes.observer.sample().await);
    let report = latest.report();
    assert!(!report.is_complete());
    let json = serde_json::to_value(report.json()).unwrap();
    assert_eq!(json["complete"], false);
    assert_eq!(json["total"]["backlog"], 5);
    assert!(json["faults"]["redis"].is_string(), "{json}");
}

#[tokio::test]
async fn without_the_ledger_the_streams_are_known_and_the_sum_is_not() {
    let mut lanes = Lanes::new().await;
    lanes.append_from(1, 5).await;
    lanes.observer.sample_ledger = Box::new(|| Box::pin(ready(Err("unavailable".to_owned()))));
    let report = lanes.observer.sample().await;
    assert_eq!(report.faults()["postgres"], "unavailable");
    let backlog = report.backlog.unwrap();
    let total = backlog.total;
    assert_eq!((total.entries, total.backlog), (5, None));
    assert_eq!(backlog.dead_letters, None);
}

#[tokio::test]
async fn a_consumer_active_in_one_lane_is_alive() {
    let mut lanes = Lanes::new().await;
    let consumers = async |lanes: &mut Lanes| {
        let report = lanes.observer.sample().await;
        let Consumers { alive, stale } = report.backlog.unwrap().consumers;
        (alive, stale)
    };
    assert_eq!(consumers(&mut lanes).await, (0, 0), "no stream");
    lanes.append_from(1, 2).await;
    assert_eq!(consumers(&mut lanes).await, (0, 0), "no group");
    lanes.create_group("0").await;
    lanes.claim_new(1).await;
    assert_eq!(consumers(&mut lanes).await, (1, 0));
    // In another lane: the same one, and one more.
    let () = lanes
        .redis
        .run("XGROUP CREATE critical GROUP 0 MKSTREAM")
        .await;
    for name in ["someone", "another"] {
        let create = format!("XGROUP CREATECONSUMER critical GROUP {name}");
        let () = lanes.redis.run(&create).await;
    }
    assert_eq!(consumers(&mut lanes).await, (2, 0));
    lanes.observer.streams.quiet_max = Duration::ZERO;
    wait_until("both have been idle", BOUND, async || {
        consumers(&mut lanes).await == (0, 2)
    })
    .await;
    lanes.claim_new(1).await;
    lanes.observer.streams.quiet_max = BOUND;
    assert_eq!(consumers(&mut lanes).await, (2, 0));
}

#[tokio::test]
async fn due_rows_are_added() {
    let mut lanes = Lanes::new().await;
    lanes.append_from(1, 5).await;
    let due = LedgerLane {
        due: 3,
        oldest_age: Some(Duration::from_secs(9)),
    };
    let ledger = LedgerSample {
        lanes: [due; LANES],
        estimated: true,
        dead_letters: 7,
    };
    lanes.observer.sample_ledger = Box::new(move || Box::pin(ready(Ok(ledger))));
    let report = lanes.observer.sample().await;
    let backlog = report.backlog.unwrap();
    assert_eq!(backlog.total.backlog, Some(5 + 3 * 4));
    assert!(backlog.ledger_estimated);
    assert_eq!(backlog.dead_letters, Some(7));
}
