//! Streams of another deployment, as `harkara doctor`, `harkara lag` and `harkara adopt` see them.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_operations::{Actor, ActorOrigin, adoption};
use harkara_settings::Settings;
use harkara_testkit::{TestDatabase, redis_database};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::harkara::{Harkara, REDIS_URL};

const MARK: &str = "harkara:{0}:deployment";
const FOREIGN: &str = "former 1-2-3";

/// Streams of another deployment with two entries, one of which a worker has claimed just now.
async fn foreign_streams() -> (Harkara, TestDatabase, MultiplexedConnection) {
    let (url, database) = (redis_database().await, TestDatabase::migrated().await);
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let key = RedisKeys::default().stream(Lane::Normal);
    let () = redis::pipe()
        .set(MARK, FOREIGN)
        .xadd(&key, "*", &[("a", "b")])
        .xadd(&key, "*", &[("a", "b")])
        .xgroup_create(&key, CONSUMER_GROUP, "0")
        .cmd("XREADGROUP")
        .arg(&["GROUP", CONSUMER_GROUP, "their-worker", "COUNT", "1"])
        .arg(&["STREAMS", &key, ">"])
        .ignore()
        .query_async(&mut redis)
        .await
        .map(|_: redis::Value| ())
        .unwrap();
    let harkara = Harkara::on(&database)
        .with(REDIS_URL, &url)
        .with("USER", "asha");
    (harkara, database, redis)
}

#[tokio::test]
async fn another_deployments_streams_are_a_problem_and_no_backlog() {
    let (harkara, ..) = foreign_streams().await;
    let doctor = harkara.run("doctor").await.ended_with(1).stdout();
    assert!(doctor.contains("belong to the deployment former with the ledger 1-2-3"));
    assert!(doctor.contains("run `harkara adopt`"), "{doctor}");
    let lag = harkara.run("lag").await;
    assert!(lag.stdout.is_empty(), "{lag:?}");
    lag.complains(
        1,
        &[
            "belong to the deployment former",
            "redis.prefix",
            "harkara adopt",
        ],
    );
    let json = harkara.run("lag --json").await.ended_with(1).json();
    assert_eq!(json["total"], serde_json::Value::Null);
    let own = harkara.with("HARKARA__REDIS__PREFIX", "own");
    let doctor = own.run("doctor").await.stdout();
    assert!(doctor.contains("no mark yet"), "{doctor}");
}

#[tokio::test]
async fn streams_that_become_anothers_while_the_operator_thinks_are_not_adopted() {
    let (url, database) = (redis_database().await, TestDatabase::migrated().await);
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis.set(MARK, FOREIGN).await.unwrap();
    let settings =
        Settings::from_pairs([("redis.url", &url), ("postgres.url", &database.url)]).unwrap();
    let pool = database.pool();
    let adoption = adoption::examine(&settings, &pool).await.unwrap();
    adoption.check_unused().unwrap();
    let () = redis.set(MARK, "third 4-5-6").await.unwrap();
    let asha = Actor::new("asha", ActorOrigin::CommandLine).unwrap();
    let error = adoption.adopt(&pool, &asha).await.unwrap_err();
    let expected = "the streams belonged to the deployment former with the ledger 1-2-3, and now to the deployment \
         third with the ledger 4-5-6";
    assert_eq!(error.to_string(), expected);
    let mark: String = redis.get(MARK).await.unwrap();
    assert_eq!(mark, "third 4-5-6");
}

#[tokio::test]
async fn streams_are_adopted_after_a_yes_once_nobody_uses_them() {
    let (harkara, database, mut redis) = foreign_streams().await;
    let in_use = harkara.run("adopt --yes").await;
    in_use.complains(
        1,
        &["their-worker", "deployment former", "stop its workers"],
    );

    let harkara = harkara
        .with("HARKARA__WORKER__CLAIM_IDLE_MS", "1")
        .with("HARKARA__WORKER__READ_WAIT_MS", "1");
    let unasked = harkara.run("adopt").await;
    unasked.complains(2, &["those of former", "2 entries", "--yes"]);
    let mark: String = redis.get(MARK).await.unwrap();
    assert_eq!(mark, FOREIGN);

    let adopted = harkara.json("adopt --yes --json").await;
    let mark: String = redis.get(MARK).await.unwrap();
    assert_eq!(adopted["from"], FOREIGN);
    assert_eq!(adopted["to"], mark.as_str());
    assert_eq!(adopted["entries"], 2);
    let audited: String = database
        .value("SELECT concat_ws('|', actor, action, entity_id, from_status, to_status) FROM audit_logs")
        .await;
    let expected = format!("operator:asha|adopt|harkara:{{0}}|{FOREIGN}|{mark}");
    assert_eq!(audited, expected);

    let doctor = harkara.run("doctor").await.stdout();
    assert!(doctor.contains("as it should be"), "{doctor}");
    let again = harkara.stdout("adopt").await;
    assert!(again.contains("already"), "{again}");
    let audits: i64 = database.value("SELECT count(*) FROM audit_logs").await;
    assert_eq!(audits, 1);
}
