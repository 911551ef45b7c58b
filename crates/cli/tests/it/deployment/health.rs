//! What probes ask of the stores.

use std::net::SocketAddr;

use harkara_testkit::{PostgresServer, RedisServer, TestDatabase, ask_admin};
use redis::Client;
use serde_json::Value;

use crate::harkara::Harkara;
use crate::processes::Processes;

/// How often each probe is asked.
const ASKED: u32 = 50;

/// What `/readyz` tells of the dependencies.
async fn dependencies(admin: SocketAddr) -> Value {
    let ready = ask_admin(admin, "/readyz").await.unwrap();
    let (head, body) = ready.split_once("\r\n\r\n").unwrap();
    let told: Value = serde_json::from_str(body).unwrap();
    let status = if told["status"] == "ready" { 200 } else { 503 };
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{ready}");
    told["dependencies"].clone()
}

#[tokio::test]
async fn probes_tell_how_long_each_store_takes_and_write_to_neither() {
    let redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let postgres = PostgresServer::start(&["autovacuum=off"]).await;
    let (redis_url, postgres_url) = (redis.url(), postgres.url());
    Harkara::default()
        .with("HARKARA__POSTGRES__URL", &postgres_url)
        .run(&["migrate"])
        .await
        .done();
    let processes = Processes::start(&[
        ("HARKARA__REDIS__URL", &redis_url),
        ("HARKARA__POSTGRES__URL", &postgres_url),
    ])
    .await;
    let database = TestDatabase::at(postgres_url).await;
    let client = Client::open(redis_url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    // Every write that Redis takes, and every transaction of PostgreSQL that writes, counts on.
    let mut written = async || {
        let info: String = redis::cmd("INFO")
            .arg("persistence")
            .query_async(&mut connection)
            .await
            .unwrap();
        let changes = "rdb_changes_since_last_save:";
        let changes = info.lines().find_map(|line| line.strip_prefix(changes));
        let transactions: i64 = database
            .value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            .await;
        (changes.unwrap().to_owned(), transactions)
    };
    let before = written().await;
    for _ in 0..ASKED {
        for admin in [processes.ingress_admin, processes.worker_admin] {
            let told = dependencies(admin).await;
            for store in ["redis", "postgres"] {
                assert_eq!(told[store]["state"], "up", "{told}");
                assert!(told[store]["latency_ms"].is_f64(), "{told}");
            }
            let live = ask_admin(admin, "/livez").await.unwrap();
            assert!(live.starts_with("HTTP/1.1 200"), "{live}");
        }
    }
    assert_eq!(written().await, before);
    // Without a delivery that would notice it.
    redis.pause();
    for admin in [processes.ingress_admin, processes.worker_admin] {
        let told = dependencies(admin).await;
        assert_eq!(told["redis"]["state"], "down", "{told}");
        assert_eq!(told["postgres"]["state"], "up", "{told}");
    }
    redis.unpause();
}
