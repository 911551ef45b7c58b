//! A worker is paused for longer than its claims last, while it holds entries: another takes them over,
//! and what the paused one commits late changes nothing.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, RECLAIMED, Scene};
use harkara_testkit::Link;

pub(super) const FAULT: Fault = Fault {
    name: "worker-paused",
    what: "a worker paused (`SIGSTOP`) for three times as long as its claims last",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

/// How long the workers gather entries that they cannot commit, so that the paused one holds some.
const GATHERING: Duration = Duration::from_millis(500);

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = 3 * scene.extent.claim_idle;
    let mut reclaimed = 0.0;
    let mut finding = scene
        .under_load(lasts + GATHERING, async |scene| {
            scene.postgres_links.workers.set(Link::BlackHoled);
            sleep(GATHERING).await;
            scene.workers[0].pause()?;
            scene.postgres_links.workers.set(Link::Open);
            sleep(lasts).await;
            reclaimed = scene.workers[1].counted(RECLAIMED).await?;
            scene.workers[0].go_on()
        })
        .await?;
    finding.must(reclaimed > 0.0, || "nothing was reclaimed".to_owned());
    Ok(finding)
}
