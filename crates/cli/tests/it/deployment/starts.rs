//! The real binaries, started before what they need.

use std::net::SocketAddr;
use std::time::Duration;

use harkara_testkit::{RedisServer, TestDatabase, is_ready, wait_until};
use tokio::time::timeout;

use crate::processes::{INGRESS, Site, WORKER};

/// A process that takes longer to come up or to end hangs.
const BOUND: Duration = Duration::from_secs(20);

impl Site {
    /// Starts a process that lacks something, and asserts that it ends and tells `lacking`.
    async fn refuses(&self, binary: &str, lacking: &str) {
        let mut child = self.start(binary);
        let ended = timeout(BOUND, child.wait()).await.expect("it ends in time");
        let log = self.log(binary);
        assert_eq!(ended.unwrap().code(), Some(1), "{log}");
        assert!(log.contains(lacking), "{lacking:?} is missing in {log}");
    }

    async fn accepts(&self, event_type: &str) {
        let harkara = self.harkara();
        harkara.run(&["trigger", event_type]).await.done();
    }
}

async fn comes_up(admin: SocketAddr) {
    wait_until("it is ready", BOUND, async || is_ready(admin).await).await;
}

#[tokio::test]
async fn whatever_comes_up_first_nothing_that_was_accepted_is_lost() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]).await;
    let database = TestDatabase::empty().await;
    let site = Site::at(&redis.url(), &database.url, &[]);

    redis.kill();
    site.refuses(WORKER, "Redis").await;
    site.refuses(INGRESS, "harkara migrate").await;
    site.harkara().run(&["migrate"]).await.done();

    // Without Redis the ingress accepts into PostgreSQL.
    let _ingress = site.start(INGRESS);
    comes_up(site.ingress_admin).await;
    site.accepts("order.paid").await;
    site.refuses(WORKER, "Redis").await;

    // Without a worker they wait in Redis.
    redis.resume().await;
    site.accepts("payment.captured").await;

    let _worker = site.start(WORKER);
    comes_up(site.worker_admin).await;
    let processed = "SELECT event_type FROM webhook_events WHERE status = 'processed' ORDER BY 1";
    wait_until("both are processed", BOUND, async || {
        database.column::<String>(processed).await == ["order.paid", "payment.captured"]
    })
    .await;
}
