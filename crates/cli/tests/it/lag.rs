//! `harkara lag`.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_storage::ledger::{EventStatus, ReplaySelection, replay};
use harkara_testkit::{Signal, TestDatabase, redis_database, send_signal};
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harkara::{Harkara, Ran, closed_port};
use crate::ledger::{database_with, processed};

const SOON: &str = "--interval=100ms";

/// Nine entries in the critical lane, four of which are pending, and two rows due in the default lane.
pub(crate) async fn some_backlog() -> (TestDatabase, String, MultiplexedConnection) {
    let database = database_with(vec![
        processed("a", "payment.captured", 0),
        processed("b", "payment.captured", 1),
    ])
    .await;
    let all = ReplaySelection {
        status: Some(EventStatus::Processed),
        ..ReplaySelection::default()
    };
    replay(&database.pool(), &all, "operator:test")
        .await
        .unwrap();
    let url = redis_database().await;
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = Lane::Critical.stream_key(0);
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

fn on(database: &TestDatabase, redis_url: &str) -> Harkara {
    Harkara::on(database).with("HARKARA__REDIS__URL", redis_url)
}

#[tokio::test]
async fn a_redis_that_is_away_is_a_failure_with_a_remedy_and_never_zero() {
    let database = TestDatabase::migrated().await;
    let port = closed_port();
    let harkara = on(&database, &format!("redis://:hunter2@127.0.0.1:{port}"));
    let ran = harkara.run(&["lag", SOON]).await;
    assert!(ran.stdout.is_empty(), "{ran:?}");
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    ran.complains(1, &[&format!("127.0.0.1:{port}"), "HARKARA__REDIS__URL"]);
    let ran = harkara.run(&["lag", "--json"]).await.ended_with(1);
    let told: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(told["complete"], false);
    assert_eq!(told["total"], Value::Null);
}

#[tokio::test]
async fn without_postgresql_the_streams_are_told_and_the_exit_code_is_1() {
    let (_database, redis_url, _) = some_backlog().await;
    let port = closed_port();
    let harkara = Harkara::default()
        .with("HARKARA__REDIS__URL", &redis_url)
        .with(
            "HARKARA__POSTGRES__URL",
            &format!("postgres://keeper:hunter2@127.0.0.1:{port}/harkara"),
        );
    let ran = harkara.run(&["lag", SOON]).await;
    let table = ran.stdout();
    let critical = table.lines().nth(1).unwrap();
    let words: Vec<&str> = critical.split_whitespace().collect();
    assert_eq!(words[..5], ["critical", "?", "5", "4", "?"], "{table}");
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    ran.complains(1, &[&format!("127.0.0.1:{port}"), "HARKARA__POSTGRES__URL"]);
}

#[tokio::test]
async fn watching_goes_on_until_it_is_interrupted() {
    let (database, redis_url, mut redis) = some_backlog().await;
    let mut child = on(&database, &redis_url).spawn(&["lag", "--watch", "--json", SOON]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap()
    };
    assert_eq!(next().await["total"]["backlog"], 11);
    let () = redis::cmd("XTRIM")
        .arg(&[&Lane::Critical.stream_key(0), "MAXLEN", "=", "2"])
        .query_async(&mut redis)
        .await
        .unwrap();
    while next().await["total"]["backlog"] != 4 {}
    send_signal(&child, Signal::INT);
    while lines.next_line().await.unwrap().is_some() {}
    Ran::of(child).await.done();
}
