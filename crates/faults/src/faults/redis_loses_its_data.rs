//! Redis comes back empty: streams and groups are made anew, and everything after is processed. What is
//! in no store any more cannot be brought back, so the backlog is empty when it happens.

use std::time::Duration;

use anyhow::Result;
use harkara_testkit::wait_until;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};
use harkara_testkit::Link;

pub(super) const FAULT: Fault = Fault {
    name: "redis-loses-its-data",
    what: "Redis killed and started empty, with no backlog at that moment",
    answers: Answers::AcceptedOrNone,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

/// How long the backlog may take to be processed while no delivery arrives.
const DRAINED_BOUND: Duration = Duration::from_secs(20);

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            scene.front.set(Link::BlackHoled);
            let ahead_of = &*scene;
            wait_until("the backlog is processed", DRAINED_BOUND, async || {
                matches!(ahead_of.backlog().await, Ok(0))
            })
            .await;
            scene.redis.kill();
            scene.redis.lose_data();
            scene.redis.resume().await;
            scene.front.set(Link::Open);
            Ok(())
        })
        .await?;
    let mut recreated = 0.0;
    for worker in &scene.workers {
        recreated += worker
            .counted("harkara_worker_groups_recreated_total")
            .await?;
    }
    finding.must(recreated > 0.0, || "no group was made anew".to_owned());
    Ok(finding)
}
