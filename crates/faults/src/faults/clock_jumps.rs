//! The wall clocks of Redis, PostgreSQL and the product jump, each by itself: nothing is lost, taken
//! over from the living for good, or applied twice.

use anyhow::{Context, Result};
use rand::seq::SliceRandom;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

pub(super) const FAULT: Fault = Fault {
    name: "clock-jumps",
    what: "the clocks of Redis, PostgreSQL and Harkara jump by an hour, forth and back, each by itself",
    answers: Answers::Accepted,
    layout: || Layout {
        clocks: true,
        ..Layout::default()
    },
    run: |scene| Box::pin(run(scene)),
};

const HOUR_S: i64 = 3_600;

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let finding = scene
        .under_load(lasts, async |scene| {
            let clocks = scene.clocks.as_ref().context("the layout has clocks")?;
            let mut jumps: Vec<_> = clocks
                .all()
                .into_iter()
                .flat_map(|clock| [(clock, HOUR_S), (clock, -HOUR_S)])
                .collect();
            jumps.shuffle(&mut scene.random);
            let each = lasts / u32::try_from(jumps.len())?;
            for (clock, seconds) in jumps {
                clock.jump_to(seconds)?;
                sleep(each).await;
            }
            for clock in clocks.all() {
                clock.jump_to(0)?;
            }
            Ok(())
        })
        .await?;
    // The ledger's times are of clocks that were wrong.
    Ok(finding.without_recovery())
}
