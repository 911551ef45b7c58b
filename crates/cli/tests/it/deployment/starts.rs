//! The services, started before what they need.

use harkara_testkit::{RedisServer, TestDatabase, wait_until};
use tokio::time::timeout;

use super::{BOUND, Deployment, INGRESS, WORKER};

impl Deployment {
    /// Starts a process that lacks something, and asserts that it ends and names it.
    async fn refuses(&self, binary: &str, lacking: &str) {
        let mut child = self.spawn(binary);
        let ended = timeout(BOUND, child.wait()).await.expect("it ends in time");
        let log = self.log(binary);
        assert_eq!(ended.unwrap().code(), Some(1), "{log}");
        assert!(log.contains(lacking), "{lacking:?} is missing in {log}");
    }
}

#[tokio::test]
async fn nothing_accepted_is_lost_in_any_start_order() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let mut deployment = Deployment::on(redis.url(), TestDatabase::empty().await, &[]);
    let harkara = deployment.harkara();

    redis.kill();
    deployment.refuses(WORKER, "Redis").await;
    deployment.refuses(INGRESS, "harkara migrate").await;
    harkara.stdout("migrate").await;

    // Without Redis the ingress accepts into PostgreSQL.
    deployment.up(INGRESS).await;
    harkara.stdout("trigger order.paid").await;
    deployment.refuses(WORKER, "Redis").await;

    // Without a worker they wait in Redis.
    redis.resume().await;
    harkara.stdout("trigger payment.captured").await;

    deployment.up(WORKER).await;
    let processed = "SELECT event_type FROM webhook_events WHERE status = 'processed' ORDER BY 1";
    wait_until("both are processed", BOUND, async || {
        let processed = deployment.database.column::<String>(processed).await;
        processed == ["order.paid", "payment.captured"]
    })
    .await;
}
