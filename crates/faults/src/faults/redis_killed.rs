//! Redis is killed and comes back with its append-only file: deliveries go to the inbox meanwhile.

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "redis-killed",
    what: "Redis killed (`SIGKILL`), later started with its append-only file",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

async fn run(scene: &mut Scene) -> Result<Finding> {
    let outage = scene.extent.outage;
    let mut finding = scene
        .under_load(outage, async |scene| {
            scene.redis.kill();
            sleep(outage).await;
            scene.redis.resume().await;
            Ok(())
        })
        .await?;
    finding.must_have_used("stored");
    finding.must_have_used("fsynced");
    Ok(finding)
}
