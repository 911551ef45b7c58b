//! The ingress is killed with requests in hand and started again: what it had answered is durable.

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "ingress-killed",
    what: "ingress killed (`SIGKILL`) and started again, five times",
    answers: Answers::AcceptedOrNone,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

const KILLS: u32 = 5;

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            for _ in 0..KILLS {
                scene.ingress.kill().await?;
                scene.ingress.start()?;
                sleep(lasts / KILLS).await;
            }
            scene.ready().await
        })
        .await?;
    let unanswered = finding.verdict().unanswered;
    finding.must(unanswered > 0, || "no request was in hand".to_owned());
    Ok(finding)
}
