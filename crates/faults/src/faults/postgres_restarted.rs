//! PostgreSQL is restarted by its operator: every session ends, and workers connect anew.

use anyhow::Result;
use harkara_testkit::PostgresStop;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "postgres-restarted",
    what: "PostgreSQL restarted in fast mode, three times",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

const RESTARTS: u32 = 3;

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    scene
        .under_load(lasts, async |scene| {
            for _ in 0..RESTARTS {
                scene.postgres.stop(PostgresStop::Fast).await;
                scene.postgres.resume().await;
                tokio::time::sleep(lasts / RESTARTS).await;
            }
            Ok(())
        })
        .await
}
