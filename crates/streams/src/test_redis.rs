//! A Redis for one test, asked over a connection of its own.

use std::fmt::Display;

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_settings::Settings;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue, Value};

pub(crate) struct TestRedis {
    pub(crate) url: String,
    connection: MultiplexedConnection,
    keys: RedisKeys,
}

/// Settings for a Redis.
pub(crate) fn settings(url: &str) -> Settings {
    Settings::from_pairs([("redis.url", url), ("redis.connect_timeout_ms", "1000")]).unwrap()
}

impl TestRedis {
    pub(crate) async fn at(url: &str, partition: u16) -> Self {
        let client = Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        Self {
            url: url.to_owned(),
            connection,
            keys: RedisKeys::new(RedisKeys::DEFAULT_PREFIX, partition).unwrap(),
        }
    }

    /// Runs a command, in which the name of a lane means its stream, and `GROUP` the consumer group.
    pub(crate) async fn run<T: FromRedisValue>(&mut self, command: &str) -> T {
        let mut asked = Cmd::new();
        for word in command.split(' ') {
            match (word, Lane::parse(word)) {
                (_, Some(lane)) => asked.arg(self.keys.stream(lane)),
                ("GROUP", None) => asked.arg(CONSUMER_GROUP),
                (word, None) => asked.arg(word),
            };
        }
        let answer = asked.query_async(&mut self.connection).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Appends entries of these ids.
    pub(crate) async fn append(&mut self, lane: Lane, ids: impl IntoIterator<Item: Display>) {
        let mut pipeline = redis::pipe();
        let key = self.keys.stream(lane);
        for id in ids {
            pipeline.cmd("XADD").arg(&[&key, &id.to_string(), "a", "b"]);
        }
        let () = pipeline.query_async(&mut self.connection).await.unwrap();
    }

    /// Lets a consumer claim up to `entries_max` new entries.
    pub(crate) async fn claim(&mut self, consumer: &str, lane: Lane, entries_max: u64) {
        let read =
            format!("XREADGROUP group GROUP {consumer} COUNT {entries_max} STREAMS {lane} >");
        let _: Value = self.run(&read).await;
    }
}
