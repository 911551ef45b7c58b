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

/// Jumps of the servers, which tell their time; the product's are beyond them.
const SERVER_JUMPS: usize = 4;

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut jumped = 0;
    let mut finding = scene
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
                jumped += usize::from(scene.a_clock_is_wrong().await?);
                clock.jump_to(0)?;
            }
            Ok(())
        })
        .await?;
    finding.must(jumped >= SERVER_JUMPS, || {
        format!("the servers were seen to live by a wrong clock {jumped} times, not {SERVER_JUMPS}")
    });
    // The ledger's times are of clocks that were wrong.
    Ok(finding.without_recovery())
}
