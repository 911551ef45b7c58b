//! Workers are scaled from one to six and back while deliveries arrive.

use anyhow::Result;
use tokio::time::sleep;

use super::{Fault, no_consumer_left_behind};
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "scaling",
    what: "1 → 6 → 1 workers (`SIGTERM`)",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

const WORKERS_MAX: usize = 6;

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    scale_down(scene).await?;
    let mut n_consumers = 0;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            while scene.workers.len() < WORKERS_MAX {
                scene.add_worker()?;
            }
            scene.ready().await?;
            sleep(lasts / 2).await;
            n_consumers = scene.consumers().await?.len();
            scale_down(scene).await
        })
        .await?;
    finding.must(n_consumers >= WORKERS_MAX, || {
        format!("only {n_consumers} of {WORKERS_MAX} workers took part")
    });
    no_consumer_left_behind(scene, &mut finding).await?;
    Ok(finding)
}

async fn scale_down(scene: &mut Scene) -> Result<()> {
    while scene.workers.len() > 1 {
        scene.workers.remove(0).stop().await?;
    }
    Ok(())
}
