//! Redis is killed and Sentinel promotes a replica: the product asks where the primary is and goes there by
//! itself. Deliveries go to the inbox until as many replicas as asked for have them again, and the killed
//! server, started again, is one of them.

use std::time::Duration;

use anyhow::{Context, Result};
use harkara_testkit::wait_until;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, REPLICAS, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "redis-fails-over",
    what: "primary of Redis killed (`SIGKILL`), a replica promoted by Sentinel, later the former primary started",
    answers: Answers::Accepted,
    layout: || Layout {
        sentinels: true,
        ..Layout::default()
    },
    run: |scene| Box::pin(run(scene)),
};

/// How long the sentinels may take to agree and to promote a replica.
const PROMOTED_BOUND: Duration = Duration::from_secs(20);

/// How long they may take to make the former primary a replica: they look every ten seconds, and at what
/// has not changed for eight.
const FOLLOWS_BOUND: Duration = Duration::from_secs(40);

/// How long the load goes on: more than all of it usually takes.
const LASTS: Duration = Duration::from_secs(35);

/// How long the ingress may take to use the primary again, which it looks at every two seconds.
const USED_BOUND: Duration = Duration::from_secs(15);

/// Time between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The ingress' counter of answers by the level reached.
const REPLICATED: &str = "harkara_ingress_durable_total{level=\"replicated\"}";

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(LASTS, async |scene| {
            let sentinels = scene.sentinels.as_ref().context("the layout has them")?;
            scene.redis.kill();
            sentinels.failed_over(&scene.redis, PROMOTED_BOUND).await;
            sleep(lasts).await;
            let before = scene.ingress.counted(REPLICATED).await?;
            scene.redis.resume().await;
            wait_until("the former primary follows", FOLLOWS_BOUND, async || {
                sentinels.n_following().await == REPLICAS
            })
            .await;
            let ingress = &scene.ingress;
            wait_until("the new primary takes deliveries", USED_BOUND, async || {
                sleep(LOOK_EVERY).await;
                matches!(ingress.counted(REPLICATED).await, Ok(now) if now > before)
            })
            .await;
            Ok(())
        })
        .await?;
    finding.must_have_used("stored");
    finding.must_have_used("replicated");
    Ok(finding)
}
