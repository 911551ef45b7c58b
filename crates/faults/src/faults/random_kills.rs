//! Any process is killed at any time, again and again, and started again a little later.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use harkara_testkit::PostgresStop;
use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "random-kills",
    what: "any process killed (`SIGKILL`) at random, started again after up to 2 s",
    answers: Answers::AcceptedOrNone,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

/// From a start to the next kill.
const CALM_MS: Range<u64> = 300..2_500;

/// From a kill to the start.
const AWAY_MS: Range<u64> = 0..2_000;

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.kills;
    scene
        .under_load(lasts, async |scene| {
            let until = Instant::now() + lasts;
            while Instant::now() < until {
                kill_one(scene).await?;
                pause(scene, CALM_MS).await;
            }
            scene.ready().await
        })
        .await
}

async fn kill_one(scene: &mut Scene) -> Result<()> {
    match scene.random.random_range(0..4) {
        0 => {
            scene.ingress.kill().await?;
            pause(scene, AWAY_MS).await;
            scene.ingress.start()?;
        }
        1 => {
            let victim = scene.random.random_range(..scene.workers.len());
            scene.workers.remove(victim).kill().await?;
            pause(scene, AWAY_MS).await;
            scene.add_worker()?;
        }
        2 => {
            scene.redis.kill();
            pause(scene, AWAY_MS).await;
            scene.redis.resume().await;
        }
        _ => {
            scene.postgres.stop(PostgresStop::Kill).await;
            pause(scene, AWAY_MS).await;
            scene.postgres.resume().await;
        }
    }
    Ok(())
}

async fn pause(scene: &mut Scene, span_ms: Range<u64>) {
    sleep(Duration::from_millis(scene.random.random_range(span_ms))).await;
}
