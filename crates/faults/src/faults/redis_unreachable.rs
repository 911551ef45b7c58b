//! The network between the product and Redis fails in three ways: deliveries go to the inbox meanwhile,
//! and workers take up the streams where they left them.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};
use harkara_testkit::Link;

/// There and back it is more than an append may take (`ingress.append_timeout_ms`, 1.4 s by default). Less
/// would leave it to chance whether a delivery goes to the inbox.
const DELAY: Duration = Duration::from_millis(800);

pub(super) const CUT: Fault = Fault {
    name: "redis-cut-off",
    what: "network to Redis cut",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene, Link::Cut)),
};

pub(super) const BLACK_HOLED: Fault = Fault {
    name: "redis-black-holed",
    what: "network to Redis silent, as if packets were dropped",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene, Link::BlackHoled)),
};

pub(super) const SLOW: Fault = Fault {
    name: "redis-slow",
    what: "network to Redis slow: 800 ms in each direction",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene, Link::Slow(DELAY))),
};

async fn run(scene: &mut Scene, link: Link) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            scene.redis_links.set(link);
            sleep(lasts).await;
            scene.redis_links.set(Link::Open);
            Ok(())
        })
        .await?;
    finding.must_have_used("fsynced");
    finding.must_have_used("stored");
    Ok(finding)
}
