//! What it takes to be there: the time from start to ready, and CPU time while nothing is delivered.

use anyhow::Result;

use super::Found;
use super::worker::USUAL;
use crate::arguments::Part;
use crate::bench::Bench;
use crate::figures::{Figures, Other, Role};
use crate::report::goal::{Goal, at_most};
use crate::rounds::{Row, Stage, interleaved};
use crate::servers::redis::AppendFsync;
use crate::watch::Watch;

const STAGE: &str = "nothing delivered, streams empty";

const VARIANT: &str = "ingress and worker, idle";

/// From the start of a process until it is ready, apart from migrations.
const START_MS_MAX: f64 = 200.0;

/// Half a percent of a core: near zero.
const IDLE_MS_PER_S_MAX: f64 = 5.0;

pub(crate) async fn measure(bench: &Bench, found: &mut Found) -> Result<()> {
    let extent = &bench.extent;
    let stage = Stage {
        part: Part::Footprint,
        title: STAGE,
        rounds: extent.rounds_others,
    };
    let rows = interleaved(
        extent,
        &stage,
        &[VARIANT],
        &mut found.variants,
        async |_| idle_run(bench).await,
    )
    .await?;
    found.goals.extend(goals(rows.first()));
    found.rows.extend(rows);
    Ok(())
}

/// Ingress and worker started on empty stores and left alone.
async fn idle_run(bench: &Bench) -> Result<Figures> {
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let stores = bench.stores(&database);
    let ingress = bench
        .product
        .ingress(&stores, &bench.secret, AppendFsync::Everysec)
        .await?;
    let worker = bench.product.worker(&stores, USUAL.committers).await?;
    // What follows a start, such as connections made in advance, is over by then.
    tokio::time::sleep(bench.extent.warm_up).await;
    let watch = Watch::begin_idle(&[
        (Role::Ingress, ingress.program.pid),
        bench.redis_process(),
        (Role::Worker, worker.program.pid),
        bench.postgres_process(),
    ])?;
    tokio::time::sleep(bench.extent.idle).await;
    let mut figures = Figures::default();
    watch.end_idle(&mut figures)?;
    figures.others.extend([
        (Other::IngressStartMs, ingress.start_ms),
        (Other::WorkerStartMs, worker.start_ms),
    ]);
    ingress.stop().await?;
    worker.stop().await?;
    Ok(figures)
}

fn goals(row: Option<&Row>) -> Vec<Goal> {
    let figure = |of| row.and_then(|row| row.median.other(of));
    vec![
        at_most(
            START_MS_MAX,
            "ingress: start to ready, ms",
            figure(Other::IngressStartMs),
        ),
        at_most(
            START_MS_MAX,
            "worker: start to ready, ms",
            figure(Other::WorkerStartMs),
        ),
        at_most(
            IDLE_MS_PER_S_MAX,
            "idle ingress: CPU ms per second",
            figure(Other::IdleIngressCpuMsPerS),
        ),
        at_most(
            IDLE_MS_PER_S_MAX,
            "idle worker: CPU ms per second",
            figure(Other::IdleWorkerCpuMsPerS),
        ),
        at_most(
            IDLE_MS_PER_S_MAX,
            "idle Redis: CPU ms per second",
            figure(Other::IdleRedisCpuMsPerS),
        ),
    ]
}
