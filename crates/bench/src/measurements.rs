//! The measurements, one after another, and their report.

mod e2e;
mod footprint;
pub(crate) mod ingress;
mod operators;
mod peer;
pub(crate) mod receiving;
mod telemetry;
pub(crate) mod worker;

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use harkara_runtime::shutdown::Shutdown;

use crate::arguments::{Arguments, Part};
use crate::bench::Bench;
use crate::plot;
use crate::redis_server::AppendFsync;
use crate::report::Report;
use crate::results::Results;
use crate::scale::Scale;

/// Measures the requested parts, reports them, and fails if an audit failed.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bench = Bench::prepare(Scale::of(arguments)?).await?;
        let shutdown = Shutdown::on_signals().context("cannot install signal handlers")?;
        let measured = tokio::select! {
            measured = measure(&bench, arguments.part) => measured,
            // The programs end with the future that is dropped here.
            () = shutdown.requested() => Err(anyhow!("interrupted")),
        };
        let cleaned = clean_up(&bench).await;
        let results = measured?;
        cleaned?;
        let report = Report::new(&bench, results).await?;
        if let Some(path) = &arguments.json {
            report.write_json(path)?;
        }
        if let Some(folder) = &arguments.plots {
            plot::draw(&report.results, folder)?;
        }
        report.print()?;
        Ok(if report.audits_are_clean() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

async fn measure(bench: &Bench, part: Part) -> Result<Results> {
    if part.covers(Part::E2e) {
        e2e::ensure_measurable(bench).await?;
    }
    let mut results = Results::default();
    if part.covers(Part::Ingress) {
        ingress::measure(bench, &mut results).await?;
    }
    if part.covers(Part::Worker) {
        worker::measure(bench, &mut results).await?;
    }
    if part.covers(Part::Footprint) {
        footprint::measure(bench, &mut results).await?;
    }
    if part.covers(Part::Telemetry) {
        telemetry::measure(bench, &mut results).await?;
    }
    if part.covers(Part::E2e) {
        e2e::measure(bench, &mut results).await?;
    }
    if part.covers(Part::Peer) {
        peer::measure(bench, part == Part::Peer, &mut results).await?;
    }
    if part.covers(Part::Operators) {
        operators::measure(bench, &mut results).await?;
    }
    results.ensure_some(&bench.scale)?;
    results.note_early_ends();
    Ok(results)
}

async fn clean_up(bench: &Bench) -> Result<()> {
    bench.fresh_redis(AppendFsync::Everysec).await?;
    bench.postgres.remove().await
}
