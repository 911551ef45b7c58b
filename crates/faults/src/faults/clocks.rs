//! Wall clocks.

use anyhow::{Context, Result};
use rand::seq::SliceRandom;
use tokio::time::sleep;

use crate::environment::Environment;
use crate::finding::Finding;

const HOUR_S: i64 = 3_600;

/// Jumps of the servers, whose time can be read; the product's jumps come on top.
const SERVER_JUMPS: usize = 4;

/// The wall clocks of Redis, PostgreSQL and the product jump, each by itself: nothing is lost, taken from live
/// workers for good, or applied twice.
pub(super) async fn jump(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    let clocks = environment.clocks.as_ref().context("there are no clocks")?;
    let mut jumps: Vec<_> = clocks
        .all()
        .into_iter()
        .flat_map(|clock| [(clock, HOUR_S), (clock, -HOUR_S)])
        .collect();
    jumps.shuffle(&mut environment.random);
    let each = lasts / u32::try_from(jumps.len())?;
    let mut jumped = 0;
    for (clock, seconds) in jumps {
        clock.jump_to(seconds)?;
        sleep(each).await;
        jumped += usize::from(environment.has_jumped_clock().await?);
        clock.jump_to(0)?;
    }
    let problem = format!("a server's clock was wrong {jumped} times, not {SERVER_JUMPS}");
    let finding = environment.audit(load).await?;
    let finding = finding.require(jumped >= SERVER_JUMPS, problem);
    // The times in the ledger are those of wrong clocks.
    Ok(finding.without_recovery())
}
