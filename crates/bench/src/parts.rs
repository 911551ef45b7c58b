//! The scenarios, one after another, and what they add up to.

mod e2e;
mod footprint;
mod ingress;
mod peer;
/// Which rows are drawn.
pub(crate) mod plotted;
mod receiving;
mod telemetry;
mod worker;

use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, Part};
use crate::bench::Bench;
use crate::extent::Extent;
use crate::figures::{Figures, Other};
use crate::plot;
use crate::report::{self, Report};
use crate::servers::redis::AppendFsync;

/// What the parts found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<crate::rounds::Row>,
    /// The names of all variants, those that the filter left out among them.
    pub(crate) variants: Vec<String>,
    pub(crate) goals: Vec<report::goal::Goal>,
    pub(crate) audits: Vec<crate::audit::Audit>,
    /// What was left out and why.
    pub(crate) notes: Vec<String>,
}

/// Measures what was asked for, tells it, and fails where an audit did.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bench = Bench::prepare(Extent::asked_for(arguments)?).await?;
        let measured = tokio::select! {
            measured = measure(&bench, arguments.part) => measured,
            // What was started ends with the future that is dropped here.
            interrupted = interrupted() => Err(interrupted),
        };
        let cleaned = clean_up(&bench).await;
        let found = measured?;
        cleaned?;
        let report = Report::new(&bench, found).await?;
        if let Some(path) = &arguments.json {
            report.write_json(path)?;
        }
        if let Some(folder) = &arguments.plots {
            plot::draw(&report.rows, folder)?;
        }
        report.print()?;
        Ok(if report.audits_are_clean() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

async fn measure(bench: &Bench, part: Part) -> Result<Found> {
    if part.covers(Part::E2e) {
        e2e::ensure_measurable(bench).await?;
    }
    let mut found = Found::default();
    if part.covers(Part::Ingress) {
        ingress::measure(bench, &mut found).await?;
    }
    if part.covers(Part::Worker) {
        worker::measure(bench, &mut found).await?;
    }
    if part.covers(Part::Footprint) {
        footprint::measure(bench, &mut found).await?;
    }
    if part.covers(Part::Telemetry) {
        telemetry::measure(bench, &mut found).await?;
    }
    if part.covers(Part::E2e) {
        e2e::measure(bench, &mut found).await?;
    }
    if part.covers(Part::Peer) {
        peer::measure(bench, part == Part::Peer, &mut found).await?;
    }
    ensure!(
        !found.rows.is_empty(),
        "no variant's name contains {:?}; names are: {}",
        bench.extent.filter.as_deref().unwrap_or_default(),
        found.variants.join(" · ")
    );
    found.tell_of_early_ends();
    Ok(found)
}

impl Found {
    fn tell_of_early_ends(&mut self) {
        for row in &self.rows {
            let ended_early = |run: &&Figures| run.other(Other::EndedEarly).is_some();
            let n = row.runs.iter().filter(ended_early).count();
            if n > 0 {
                self.notes.push(format!(
                    "{}: {}: {n} of {} runs ended early, as all deliveries that were prepared were sent",
                    row.stage,
                    row.variant,
                    row.runs.len()
                ));
            }
        }
    }
}

/// Waits for Ctrl-C or its like.
async fn interrupted() -> anyhow::Error {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            // Then only Ctrl-C is listened for.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate => anyhow!("stopped"),
        pressed = tokio::signal::ctrl_c() => match pressed {
            Ok(()) => anyhow!("interrupted"),
            Err(error) => anyhow::Error::new(error).context("Ctrl-C cannot be listened for"),
        },
    }
}

async fn clean_up(bench: &Bench) -> Result<()> {
    bench.fresh_redis(AppendFsync::Everysec).await?;
    bench.postgres.remove().await
}
