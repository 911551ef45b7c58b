//! Workers are killed at any instruction: their entries are reclaimed, and takes effect once.

use std::time::Duration;

use anyhow::Result;
use rand::RngExt;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "worker-killed",
    what: "a worker killed (`SIGKILL`) and another started, again and again",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

/// How long a worker lives at least and at most.
const LIFE_MS: std::ops::Range<u64> = 200..900;

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            let until = tokio::time::Instant::now() + lasts;
            while tokio::time::Instant::now() < until {
                let life = Duration::from_millis(scene.random.random_range(LIFE_MS));
                sleep(life).await;
                let victim = scene.random.random_range(..scene.workers.len());
                scene.workers.remove(victim).kill().await?;
                scene.add_worker()?;
            }
            scene.ready().await
        })
        .await?;
    let reclaimed = scene.reclaimed().await?;
    finding.must(reclaimed > 0.0, || "nothing was reclaimed".to_owned());
    Ok(finding)
}
