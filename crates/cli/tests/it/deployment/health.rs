//! What probes ask of the stores.

use std::net::SocketAddr;

use harkara_testkit::{PostgresServer, RedisServer, TestDatabase, ask_admin, wait_until};
use redis::InfoDict;
use serde_json::Value;

use super::{BOUND, Deployment, INGRESS, WORKER};

/// How often each probe is asked.
const ASKED: u32 = 50;

/// Events of every lane.
const ONE_OF_EACH_LANE: &str =
    "payment.dispute.created account.suspended invoice.paid payment.captured";

/// The dependencies in `/readyz`, whose status must fit.
async fn dependencies(admin: SocketAddr) -> Value {
    let response = ask_admin(admin, "/readyz").await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let ready: Value = serde_json::from_str(body).unwrap();
    let status = if ready["status"] == "ready" { 200 } else { 503 };
    assert!(
        head.starts_with(&format!("HTTP/1.1 {status}")),
        "{response}"
    );
    ready["dependencies"].clone()
}

#[tokio::test]
async fn probes_report_how_long_each_store_takes_and_write_to_neither() {
    let redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let postgres = PostgresServer::start(&["autovacuum=off"]).await;
    let database = TestDatabase::at(postgres.url()).await;
    let mut deployment = Deployment::on(redis.url(), database, &[]);
    let harkara = deployment.harkara();
    harkara.stdout("migrate").await;
    deployment.up(INGRESS).await;
    deployment.up(WORKER).await;
    // The worker joins the group of a lane, which Redis counts as a write, when it first reads there.
    harkara
        .stdout(&format!("trigger {ONE_OF_EACH_LANE} --follow"))
        .await;
    wait_until("all is acknowledged", BOUND, async || {
        deployment.n_entries().await == 0
    })
    .await;
    let mut connection = redis.connection().await;
    // Every write that Redis takes, and every transaction of PostgreSQL that writes, counts on.
    let mut written = async || {
        let mut info = redis::cmd("INFO");
        let info = info.arg("persistence").query_async(&mut connection).await;
        let info: InfoDict = info.unwrap();
        let changes: u64 = info.get("rdb_changes_since_last_save").unwrap();
        let transactions = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        (
            changes,
            deployment.database.value::<i64>(transactions).await,
        )
    };
    let admins = [deployment.ingress_admin, deployment.worker_admin];
    let before = written().await;
    for admin in std::iter::repeat_n(admins, ASKED as usize).flatten() {
        let dependencies = dependencies(admin).await;
        for store in ["redis", "postgres"] {
            assert_eq!(dependencies[store]["state"], "up", "{dependencies}");
            let latency = &dependencies[store]["latency_ms"];
            assert!(latency.is_f64(), "{dependencies}");
        }
        let live = ask_admin(admin, "/livez").await.unwrap();
        assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    }
    assert_eq!(written().await, before);
    // Without a delivery that would notice it.
    redis.pause();
    for admin in admins {
        let dependencies = dependencies(admin).await;
        assert_eq!(dependencies["redis"]["state"], "down", "{dependencies}");
        assert_eq!(dependencies["postgres"]["state"], "up", "{dependencies}");
    }
    redis.unpause();
}
