//! The faults, each in a file of its own that is named for the promise it puts to the proof.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, sleep};

use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};

mod redis_fails_over;
mod redis_killed;
mod redis_loses_its_backlog;
mod redis_loses_its_data;
mod redis_unreachable;

mod postgres_disk_full;
mod postgres_killed;
mod postgres_read_only;
mod postgres_restarted;
mod postgres_unreachable;

mod both_stores_unreachable;

mod ingress_killed;
mod worker_killed;
mod worker_paused;

mod rolling_restart;
mod scaling;

mod clock_jumps;
mod random_kills;

/// Something that breaks, and what is promised nevertheless.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// What happens, for the table.
    pub(crate) what: &'static str,
    pub(crate) answers: Answers,
    pub(crate) layout: fn() -> Layout,
    pub(crate) run: for<'a> fn(&'a mut Scene) -> LocalBoxFuture<'a, Result<Finding>>,
}

/// All of them, in the order of the table.
pub(crate) const FAULTS: &[Fault] = &[
    redis_killed::FAULT,
    redis_fails_over::FAULT,
    redis_loses_its_data::FAULT,
    redis_unreachable::CUT,
    redis_unreachable::BLACK_HOLED,
    redis_unreachable::SLOW,
    postgres_killed::FAULT,
    postgres_restarted::FAULT,
    postgres_read_only::FAULT,
    postgres_disk_full::FAULT,
    postgres_unreachable::CUT,
    postgres_unreachable::BLACK_HOLED,
    postgres_unreachable::SLOW,
    both_stores_unreachable::FAULT,
    ingress_killed::FAULT,
    worker_killed::FAULT,
    worker_paused::FAULT,
    rolling_restart::FAULT,
    scaling::FAULT,
    clock_jumps::FAULT,
    random_kills::FAULT,
    redis_loses_its_backlog::FAULT,
];

/// Time between two looks at the consumers.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a consumer whose worker has gone may still be listed.
const CONSUMER_LEFT_BOUND: Duration = Duration::from_secs(10);

/// Notes where more consumers are left than workers run.
async fn no_consumer_left_behind(scene: &Scene, finding: &mut Finding) -> Result<()> {
    let until = Instant::now() + CONSUMER_LEFT_BOUND;
    loop {
        let consumers = scene.consumers().await?;
        if consumers.len() <= scene.workers.len() {
            return Ok(());
        }
        if Instant::now() > until {
            finding.must(false, || {
                format!("consumers are left behind: {consumers:?}")
            });
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}
