//! The time from start to ready, and CPU time while nothing is delivered.

use anyhow::Result;

use super::worker::USUAL;
use crate::arguments::Part;
use crate::bench::Bench;
use crate::figures::{Figures, Other, Role};
use crate::redis_server::AppendFsync;
use crate::report::goal::{Goal, at_most};
use crate::results::{Results, Stage};
use crate::usage;

const TITLE: &str = "nothing delivered, streams empty";

const VARIANT: &str = "ingress and worker, idle";

/// From the start of a process until it is ready, apart from migrations.
const START_MS_MAX: f64 = 200.0;

/// Half a percent of a core: near zero.
const IDLE_MS_PER_S_MAX: f64 = 5.0;

pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let stage = Stage(Part::Footprint, TITLE, bench.scale.rounds_others);
    let run = async |_| Ok((idle_run(bench).await?, None));
    results
        .measure(&bench.scale, stage, &[VARIANT], run)
        .await?;
    results.goals.extend(goals(results));
    Ok(())
}

fn goals(results: &Results) -> Vec<Goal> {
    let row = results.row(TITLE, VARIANT);
    let figure = |other| row.and_then(|row| row.median.other(other));
    let starts = [
        ("ingress", Other::IngressStartMs),
        ("worker", Other::WorkerStartMs),
    ];
    let idle = [
        ("ingress", Other::IdleIngressCpuMsPerS),
        ("worker", Other::IdleWorkerCpuMsPerS),
        ("Redis", Other::IdleRedisCpuMsPerS),
    ];
    let starts = starts.map(|(process, other)| {
        let what = format!("{process}: start to ready, ms");
        at_most(START_MS_MAX, &what, figure(other))
    });
    let idle = idle.map(|(process, other)| {
        let what = format!("idle {process}: CPU ms per second");
        at_most(IDLE_MS_PER_S_MAX, &what, figure(other))
    });
    starts.into_iter().chain(idle).collect()
}

/// Starts ingress and worker on empty stores and leaves them alone.
async fn idle_run(bench: &Bench) -> Result<Figures> {
    let Bench { product, scale, .. } = bench;
    let policy = AppendFsync::Everysec;
    let database = bench.fresh(policy).await?;
    let (ingress, _) = product.ingress(&database.url, policy, None).await?;
    let worker = product
        .worker(&database.url, USUAL.committers, None)
        .await?;
    // What follows a start, such as connections made in advance, is over by then.
    tokio::time::sleep(scale.warm_up).await;
    let processes = [
        (Role::Ingress, ingress.program.pid),
        bench.redis_process(),
        (Role::Worker, worker.program.pid),
        bench.postgres_process(),
    ];
    let mut figures = usage::idle(&processes, scale.idle).await?;
    figures.others.extend([
        (Other::IngressStartMs, ingress.start_ms),
        (Other::WorkerStartMs, worker.start_ms),
    ]);
    ingress.program.stop().await?;
    worker.program.stop().await?;
    Ok(figures)
}
