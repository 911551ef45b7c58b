//! Every process is replaced while deliveries arrive: a new one first, then the old one is told to end.

use anyhow::Result;

use super::{Fault, no_consumer_left_behind};
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "rolling-restart",
    what: "ingress and every worker replaced one after another (`SIGTERM`)",
    answers: Answers::AcceptedOrNone,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            for _ in 0..scene.workers.len() {
                scene.add_worker()?;
                scene.ready().await?;
                scene.workers.remove(0).stop().await?;
            }
            scene.replace_ingress().await
        })
        .await?;
    no_consumer_left_behind(scene, &mut finding).await?;
    Ok(finding)
}
