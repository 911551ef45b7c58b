//! PostgreSQL turns read-only, as a former primary does: workers keep what they hold and wait.

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "postgres-read-only",
    what: "PostgreSQL read-only for every session",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut backlog = 0;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            scene.postgres.write_file(
                "postgresql.auto.conf",
                "default_transaction_read_only = on\n",
            );
            scene.postgres.reload();
            sleep(lasts).await;
            backlog = scene.backlog().await?;
            scene.postgres.write_file("postgresql.auto.conf", "");
            scene.postgres.reload();
            Ok(())
        })
        .await?;
    finding.must(backlog > 0, || {
        "nothing had to wait for PostgreSQL".to_owned()
    });
    Ok(finding)
}
