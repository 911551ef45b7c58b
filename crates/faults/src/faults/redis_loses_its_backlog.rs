//! Redis comes back empty while no worker had taken what it held. Only Redis had it, so it is lost: this is
//! not promised, and shows that the audit finds a loss where there is one.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "redis-loses-its-backlog",
    what: "**not promised:** Redis killed and started empty, with a backlog that only its disk had",
    answers: Answers::AcceptedAndLost,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

/// How long the backlog gathers.
const GATHERING: Duration = Duration::from_millis(500);

/// How long the audit waits for what will not come.
const SETTLE: Duration = Duration::from_secs(10);

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    scene.extent.settle = SETTLE;
    scene
        .under_load(lasts, async |scene| {
            let n_workers = scene.workers.len();
            for mut worker in scene.workers.drain(..) {
                worker.kill().await?;
            }
            sleep(GATHERING).await;
            scene.redis.kill();
            scene.redis.lose_data();
            scene.redis.resume().await;
            for _ in 0..n_workers {
                scene.add_worker()?;
            }
            scene.ready().await
        })
        .await
}
