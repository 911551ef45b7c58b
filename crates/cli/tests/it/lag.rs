//! `harkara lag`.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_storage::ledger::{ReplayTarget, replay};
use harkara_testkit::{Signal, TestDatabase, redis_database, send_signal};
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harkara::{Harkara, POSTGRES_URL, REDIS_URL, Ran, nowhere};
use crate::ledger::{database_with, processed};

/// Nine entries in the critical lane, four of which are pending, and two rows due in the default lane.
pub(crate) async fn some_backlog() -> (TestDatabase, String, MultiplexedConnection) {
    let events = ["a", "b"].map(|id| processed(id, "payment.captured", 0));
    let database = database_with(events.into()).await;
    for id in ["a", "b"] {
        let replayed = replay(&database.pool(), &ReplayTarget::Event(id), "operator:test").await;
        assert_eq!(replayed.unwrap(), 1);
    }
    let url = redis_database().await;
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = RedisKeys::default().stream(Lane::Critical);
    let mut pipeline = redis::pipe();
    for _ in 0..9 {
        pipeline.cmd("XADD").arg(&[&key, "*", "a", "b"]);
    }
    pipeline
        .cmd("XGROUP")
        .arg(&["CREATE", &key, CONSUMER_GROUP, "0"])
        .cmd("XREADGROUP")
        .arg(&["GROUP", CONSUMER_GROUP, "someone", "COUNT", "4"])
        .arg(&["STREAMS", &key, ">"]);
    let () = pipeline.query_async(&mut connection).await.unwrap();
    (database, url, connection)
}

#[tokio::test]
async fn an_unavailable_redis_is_a_failure_with_a_remedy_and_never_zero() {
    let (redis_url, address) = nowhere("redis");
    let harkara = Harkara::on(&TestDatabase::migrated().await).with(REDIS_URL, &redis_url);
    let ran = harkara.run("lag").await;
    assert!(ran.stdout.is_empty(), "{ran:?}");
    ran.complains(1, &[&address, "HARKARA__REDIS__URL"]);
    let report = harkara.run("lag --json").await.ended_with(1).json();
    assert_eq!(report["complete"], false);
    assert_eq!(report["total"], Value::Null);
}

#[tokio::test]
async fn without_postgresql_the_streams_are_shown_and_the_exit_code_is_1() {
    let (_database, redis_url, _) = some_backlog().await;
    let (postgres_url, address) = nowhere("postgres");
    let harkara = Harkara::default()
        .with(REDIS_URL, &redis_url)
        .with(POSTGRES_URL, &postgres_url);
    let ran = harkara.run("lag --interval 100ms").await;
    let table = ran.stdout();
    let critical = table.lines().nth(1).unwrap();
    let words: Vec<&str> = critical.split_whitespace().collect();
    assert_eq!(words[..5], ["critical", "?", "5", "4", "?"], "{table}");
    ran.complains(1, &[&address, "HARKARA__POSTGRES__URL"]);
}

#[tokio::test]
async fn watching_continues_until_interrupted() {
    let (database, redis_url, mut redis) = some_backlog().await;
    let harkara = Harkara::on(&database).with(REDIS_URL, &redis_url);
    let mut child = harkara.spawn("lag --watch --json --interval 100ms");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap()
    };
    assert_eq!(next().await["total"]["backlog"], 11);
    let () = redis::cmd("XTRIM")
        .arg(&[
            &RedisKeys::default().stream(Lane::Critical),
            "MAXLEN",
            "=",
            "2",
        ])
        .query_async(&mut redis)
        .await
        .unwrap();
    while next().await["total"]["backlog"] != 4 {}
    send_signal(&child, Signal::INT);
    while lines.next_line().await.unwrap().is_some() {}
    Ran::of(child).await.ended_with(0);
}
