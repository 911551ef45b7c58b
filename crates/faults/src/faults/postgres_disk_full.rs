//! PostgreSQL has no room for its tables or its log: deliveries gather in the streams until there is.

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "postgres-disk-full",
    what: "the disk of PostgreSQL full, later with room again",
    answers: Answers::Accepted,
    layout: || Layout {
        small_disk: true,
        ..Layout::default()
    },
    run: |scene| Box::pin(run(scene)),
};

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            let disk = scene.disk.as_ref().context("the layout has a disk")?;
            disk.fill()?;
            sleep(lasts).await;
            disk.clear()?;
            // A server that could not write its log has ended, and its operator starts it again.
            scene.postgres.resume_if_ended().await;
            Ok(())
        })
        .await?;
    let told = scene
        .postgres
        .log()
        .matches("No space left on device")
        .count();
    finding.must(told > 0, || "PostgreSQL never ran out of disk".to_owned());
    Ok(finding)
}
