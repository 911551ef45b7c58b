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
    scene
        .under_load(lasts, async |scene| {
            scene.postgres.write_file(
                "postgresql.auto.conf",
                "default_transaction_read_only = on\n",
            );
            scene.postgres.reload();
            sleep(lasts).await;
            scene.postgres.write_file("postgresql.auto.conf", "");
            scene.postgres.reload();
            Ok(())
        })
        .await
}
