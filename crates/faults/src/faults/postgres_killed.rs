//! PostgreSQL crashes and recovers: deliveries gather in the streams meanwhile, and no attempt is counted.

use anyhow::Result;
use harkara_testkit::PostgresStop;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "postgres-killed",
    what: "PostgreSQL killed (`SIGKILL`), later started and recovered",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

async fn run(scene: &mut Scene) -> Result<Finding> {
    let outage = scene.extent.outage;
    scene
        .under_load(outage, async |scene| {
            scene.postgres.stop(PostgresStop::Kill).await;
            sleep(outage).await;
            scene.postgres.resume().await;
            Ok(())
        })
        .await
}
