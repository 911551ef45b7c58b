//! A Redis, the stream of a lane in it, and what observes it.

use std::convert::Infallible;
use std::future::ready;

use harkara_core::backlog::{Figures, LedgerSample};
use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_settings::Settings;
use harkara_testkit::redis_database;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue, Value};

use super::lane;
use crate::backlog::Observer;
use crate::pool;

/// A Redis and its observer.
pub(super) struct Lanes {
    pub(super) redis: MultiplexedConnection,
    pub(super) observer: Observer,
    pub(super) key: String,
}

/// An observer of a ledger where nothing is due.
fn observer(url: &str, partition: u16) -> Observer {
    let settings = [("redis.url", url), ("redis.connect_timeout_ms", "1000")];
    let settings = Settings::from_pairs(settings).expect("the settings are sound");
    Observer::new(pool(&settings.redis), partition, &settings.worker, || {
        ready(Ok::<_, Infallible>(LedgerSample::default()))
    })
}

impl Lanes {
    pub(super) async fn new() -> Self {
        Self::on(&redis_database().await, 0).await
    }

    pub(super) async fn on(url: &str, partition: u16) -> Self {
        let client = Client::open(url).expect("the URL is valid");
        let redis = client.get_multiplexed_async_connection().await;
        Self {
            redis: redis.expect("the test Redis answers"),
            observer: observer(url, partition),
            key: Lane::Normal.stream_key(partition),
        }
    }

    /// Runs a command in which `KEY` stands for the lane's stream.
    pub(super) async fn run<T: FromRedisValue>(&mut self, command: &str) -> T {
        let mut asked = Cmd::new();
        for word in command.split(' ') {
            asked.arg(if word == "KEY" { &self.key } else { word });
        }
        asked
            .query_async(&mut self.redis)
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Appends entries with the ids `from-0` and following.
    pub(super) async fn append(&mut self, from: u64, n_entries: u64) {
        let mut pipeline = redis::pipe();
        for id in from..from + n_entries {
            let id = format!("{id}-0");
            pipeline.cmd("XADD").arg(&[&self.key, &id, "a", "b"]);
        }
        let () = pipeline.query_async(&mut self.redis).await.expect("XADD");
    }

    pub(super) async fn create_group(&mut self, from: &str) {
        let create = format!("XGROUP CREATE KEY {CONSUMER_GROUP} {from} MKSTREAM");
        let () = self.run(&create).await;
    }

    pub(super) async fn claim(&mut self, n_entries: u64) {
        let _: Value = self
            .run(&format!(
                "XREADGROUP GROUP {CONSUMER_GROUP} someone COUNT {n_entries} STREAMS KEY >"
            ))
            .await;
    }

    /// What workers do after a commit.
    pub(super) async fn remove(&mut self, ids: std::ops::Range<u64>) {
        for id in ids {
            let removed: u64 = self.run(&format!("XACK KEY {CONSUMER_GROUP} {id}-0")).await;
            assert_eq!(removed, 1);
            let () = self.run(&format!("XDEL KEY {id}-0")).await;
        }
    }

    /// What Redis itself calls the group's lag.
    pub(super) async fn lag(&mut self) -> Value {
        let groups: Vec<std::collections::HashMap<String, Value>> =
            self.run("XINFO GROUPS KEY").await;
        groups[0]["lag"].clone()
    }

    pub(super) async fn figures(&mut self) -> Figures {
        let report = self.observer.sample().await;
        lane(&report)
    }

    /// Backlog, undelivered and pending.
    pub(super) async fn counts(&mut self) -> (u64, u64, u64) {
        let figures = self.figures().await;
        assert_eq!(figures.backlog, Some(figures.entries));
        (figures.entries, figures.undelivered, figures.pending)
    }
}
