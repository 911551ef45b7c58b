//! What probes ask of the stores.

use harkara_testkit::{PostgresServer, RedisServer, TestDatabase, ask_admin};
use redis::Client;

use crate::harkara::Harkara;
use crate::processes::Processes;

/// How often each probe is asked.
const ASKED: u32 = 50;

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
            let ready = ask_admin(admin, "/readyz").await.unwrap();
            assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
            let (_, ready) = ready.split_once("\r\n\r\n").unwrap();
            let ready: serde_json::Value = serde_json::from_str(ready).unwrap();
            for store in ["redis", "postgres"] {
                let told = &ready["dependencies"][store];
                assert_eq!(told["state"], "up", "{ready}");
                assert!(told["latency_ms"].is_f64(), "{ready}");
            }
            let live = ask_admin(admin, "/livez").await.unwrap();
            assert!(live.starts_with("HTTP/1.1 200"), "{live}");
        }
    }
    assert_eq!(written().await, before);
}
