//! What it takes to be there: the time from start to ready, and CPU time while nothing is delivered.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Found;
use crate::arguments::Part;
use crate::bench::Bench;
use crate::figures::{Figures, Other, Role, mebibytes};
use crate::process::{self, Pid};
use crate::product::WorkerPlan;
use crate::report::goal::{Goal, at_most};
use crate::rounds::{Row, interleaved};
use crate::servers::redis::AppendFsync;

const STAGE: &str = "nothing delivered, streams empty; CPU per second";

const VARIANT: &str = "ingress and worker, idle";

/// From the start of a process until it is ready, apart from migrations.
const START_MS_MAX: f64 = 200.0;

/// Half a percent of a core: near zero.
const IDLE_MS_PER_S_MAX: f64 = 5.0;

pub(crate) async fn measure(bench: &Bench, found: &mut Found) -> Result<()> {
    let extent = &bench.extent;
    let rows = interleaved(
        extent,
        (Part::Footprint, STAGE),
        extent.rounds_others,
        &[VARIANT],
        async |_| idle_run(bench).await,
    )
    .await?;
    found.goals.extend(goals(rows.first()));
    found.rows.extend(rows);
    Ok(())
}

/// Ingress and worker started on empty stores and left alone. Here an "event" is a second.
async fn idle_run(bench: &Bench) -> Result<Figures> {
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let stores = bench.stores(&database);
    let plan = WorkerPlan {
        batches_in_flight_max: 2,
    };
    let ingress = bench.binaries.ingress(&stores, &bench.secret).await?;
    let worker = bench.binaries.worker(&stores, plan).await?;
    // What follows a start, such as connections made in advance, is over by then.
    tokio::time::sleep(bench.extent.warm_up).await;
    let processes = [
        (Role::Ingress, ingress.program.pid),
        bench.redis_process(),
        (Role::Worker, worker.program.pid),
        bench.postgres_process(),
    ];
    let (began, before) = (Instant::now(), cpu_of(&processes)?);
    tokio::time::sleep(bench.extent.idle).await;
    let (seconds, after) = (began.elapsed().as_secs_f64(), cpu_of(&processes)?);
    let mut figures = Figures {
        events: seconds,
        ..Figures::default()
    };
    for (((role, pid), before), after) in processes.iter().zip(before).zip(after) {
        let used = after.saturating_sub(before).as_secs_f64() * 1e6;
        figures.cpu_us_per_event.insert(*role, used / seconds);
        let resident = mebibytes(process::resident_of_tree(*pid)?);
        figures.resident_mib.insert(*role, resident);
    }
    figures.others.extend([
        (Other::IngressStartMs, ingress.start_ms),
        (Other::WorkerStartMs, worker.start_ms),
    ]);
    ingress.stop().await?;
    worker.stop().await?;
    Ok(figures)
}

fn cpu_of(processes: &[(Role, Pid)]) -> Result<Vec<Duration>> {
    processes
        .iter()
        .map(|(_, pid)| process::cpu_of_running_threads(*pid))
        .collect()
}

fn goals(row: Option<&Row>) -> Vec<Goal> {
    let median = row.map(|row| &row.median);
    let start = |of| median.and_then(|figures| figures.others.get(&of).copied());
    let idle = |role| median.and_then(|figures| Some(figures.cpu_us(&[role])? / 1e3));
    vec![
        at_most(
            START_MS_MAX,
            "ingress: start to ready, ms",
            start(Other::IngressStartMs),
        ),
        at_most(
            START_MS_MAX,
            "worker: start to ready, ms",
            start(Other::WorkerStartMs),
        ),
        at_most(
            IDLE_MS_PER_S_MAX,
            "idle ingress: CPU ms per second",
            idle(Role::Ingress),
        ),
        at_most(
            IDLE_MS_PER_S_MAX,
            "idle worker: CPU ms per second",
            idle(Role::Worker),
        ),
        at_most(
            IDLE_MS_PER_S_MAX,
            "idle Redis: CPU ms per second",
            idle(Role::Redis),
        ),
    ]
}
