//! Committing: a backlog drained by one worker, by several, and by PostgreSQL's ceilings.

use std::fmt;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use harkara_load::{Corpus, Mix};
use harkara_operations::verification::Scope;

use crate::arguments::Part;
use crate::audit::Auditor;
use crate::batch_times::Buckets;
use crate::bench::Bench;
use crate::drain::drain_rate;
use crate::figures::{Figures, Latency, Other, Role, count, mebibytes, rate};
use crate::process;
use crate::product::{Running, Telemetry};
use crate::redis_server::AppendFsync;
use crate::reference::append;
use crate::reference::ledger::{self, LedgerWrite};
use crate::report::goal::{Goal, at_least, at_most};
use crate::results::{Results, Run, Stage, VariantResult};
use crate::usage::{THIS_PROCESS, Usage};

/// The rate at which workers commit.
const DRAIN: &str = "worker, a backlog drained into all tables; latency of batches";

/// The one row of the long backlog.
const LONG: &str =
    "worker, a backlog of two million entries drained into all tables; latency of batches";

/// Entries of the long backlog.
const LONG_BACKLOG: usize = 2_000_000;

/// Deliveries of the long backlog that are prepared together.
const LONG_SLICE: usize = 200_000;

/// The worker's histogram of the time from the claim of a batch to its acknowledgement.
const BATCH_SECONDS: &str = "harkara_worker_batch_seconds";

/// Maximum workers of the plot.
const WORKERS_MAX: usize = 3;

/// The workers that drain a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    n: usize,
    /// Batches that each commits concurrently.
    pub(crate) committers: usize,
    mix: Mix,
}

#[derive(Clone, Copy, PartialEq, Eq, strum::Display)]
enum Variant {
    #[strum(to_string = "{0}")]
    Workers(Workers),
    #[strum(to_string = "{0}")]
    Ledger(LedgerWrite),
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n, committers, mix } = *self;
        let plural = |n| if n == 1 { "" } else { "s" };
        let (workers, committing) = (plural(n), plural(committers));
        write!(
            f,
            "{n} worker{workers} × {committers} committer{committing}"
        )?;
        match mix {
            Mix::Realistic => Ok(()),
            Mix::Payments => f.write_str(", payments only"),
        }
    }
}

/// `n` workers with one committer each.
const fn scaled(n: usize) -> Workers {
    Workers {
        n,
        committers: 1,
        mix: Mix::Realistic,
    }
}

/// The worker that the goals are about.
pub(crate) const USUAL: Workers = Workers {
    n: 1,
    committers: 2,
    mix: Mix::Realistic,
};

/// The worker beside the peer's.
pub(crate) const PAYMENTS: Workers = Workers {
    mix: Mix::Payments,
    ..USUAL
};

pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let scale = &bench.scale;
    let mut variants = vec![Variant::Workers(USUAL)];
    variants.extend((1..=WORKERS_MAX).map(|n| Variant::Workers(scaled(n))));
    variants.push(Variant::Workers(PAYMENTS));
    variants.extend([LedgerWrite::Unnest, LedgerWrite::Copy].map(Variant::Ledger));
    let stage = Stage(Part::Worker, DRAIN, scale.rounds_others);
    let run = async |variant| match variant {
        Variant::Workers(workers) => drain_run(bench, workers, None).await,
        Variant::Ledger(write) => Ok((ledger_run(bench, write).await?, None)),
    };
    results.measure(scale, stage, &variants, run).await?;
    results.compare(DRAIN, LedgerWrite::Unnest);
    results.goals.extend(goals(results));
    if scale.long {
        let (figures, audit) = long_run(bench).await?;
        let stage = Stage(Part::Worker, LONG, 1);
        let row = VariantResult::new(stage, USUAL, vec![figures]);
        results.goals.extend(long_goals(results, &row));
        results.rows.push(row);
        results.audits.extend(audit);
    }
    Ok(())
}

/// Drains one backlog; the ledger is audited.
pub(crate) async fn drain_run(
    bench: &Bench,
    workers: Workers,
    telemetry: Option<Telemetry>,
) -> Result<Run> {
    let n = bench.scale.worker_events;
    let corpus = bench.corpus(workers.mix, n);
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let is_sampled = telemetry.is_some_and(|telemetry| telemetry.keeps_all);
    append::append(&bench.redis, &corpus, 0..n, is_sampled).await?;
    let figures = drain(bench, &database.url, telemetry, workers, n).await?;
    let auditor = Auditor::new(workers, &database, Scope::AllTables)?;
    let auditor = auditor.accepted(&corpus, 0..n).await?;
    Ok((figures, Some(auditor.finish(&bench.redis).await?)))
}

/// Starts workers on a backlog of `n`, waits until it is drained, and stops them.
async fn drain(
    bench: &Bench,
    postgres_url: &str,
    telemetry: Option<Telemetry>,
    workers: Workers,
    n: usize,
) -> Result<Figures> {
    let redis_bytes = bench.redis.bytes_per_event(n).await?;
    let stores = [bench.redis_process(), bench.postgres_process()];
    let mut usage = Usage::begin(&bench.postgres, &stores).await?;
    let starts = (0..workers.n).map(|_| async {
        let worker = bench
            .product
            .worker(postgres_url, workers.committers, telemetry)
            .await?;
        let resident = process::resident_of_tree(worker.program.pid)?;
        anyhow::Ok((worker, resident))
    });
    // The workers claim from their first moment on, so the sampling begins with their start.
    let draining = drain_rate(n, async || bench.redis.n_entries().await);
    let (workers, rate_per_s) = tokio::try_join!(try_join_all(starts), draining)?;
    for (worker, _) in &workers {
        usage.add(Role::Worker, worker.program.pid);
    }
    let mut figures = usage.end(n, rate_per_s).await?;
    figures.redis_bytes_per_event = Some(redis_bytes);
    if let [(worker, at_start)] = &workers[..] {
        let peak = process::resident_peak(worker.program.pid)?;
        figures.others.extend([
            (Other::WorkerResidentStartMib, mebibytes(*at_start)),
            (Other::WorkerResidentPeakMib, mebibytes(peak)),
            (Other::StartMs, worker.start_ms),
        ]);
    }
    figures.latency = batch_latency(&workers).await?;
    for (worker, _) in workers {
        worker.program.stop().await?;
    }
    Ok(figures)
}

/// The time of the workers' batches from claim to acknowledgement.
async fn batch_latency(workers: &[(Running, u64)]) -> Result<Option<Latency>> {
    let mut all: Option<Buckets> = None;
    for (worker, _) in workers {
        let metrics = worker.metrics().await?;
        let one = Buckets::read(&metrics, BATCH_SECONDS)
            .with_context(|| format!("a worker reports no {BATCH_SECONDS}"))?;
        let sum = match all {
            None => Some(one),
            Some(others) => others.add(&one),
        };
        all = Some(sum.with_context(|| format!("{BATCH_SECONDS} has different buckets"))?);
    }
    Ok(all.as_ref().and_then(Latency::of_buckets))
}

async fn ledger_run(bench: &Bench, write: LedgerWrite) -> Result<Figures> {
    let n = bench.scale.worker_events;
    let corpus = bench.corpus(Mix::Realistic, n);
    let database = bench.postgres.fresh().await?;
    let processes = [bench.postgres_process(), THIS_PROCESS];
    let usage = Usage::begin(&bench.postgres, &processes).await?;
    let elapsed = ledger::write(&database, &corpus, 0..n, write).await?;
    usage.end(n, rate(n, elapsed)).await
}

/// A backlog of two million entries, prepared in slices, drained as any other.
async fn long_run(bench: &Bench) -> Result<Run> {
    eprintln!("{LONG}: {USUAL}");
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let slices = 1..=LONG_BACKLOG / LONG_SLICE;
    let slice =
        |series| -> Corpus { bench.other_corpus(Mix::Realistic, LONG_SLICE, series as u64) };
    for series in slices.clone() {
        append::append(&bench.redis, &slice(series), 0..LONG_SLICE, false).await?;
        eprintln!("    {} entries wait", series * LONG_SLICE);
    }
    let figures = drain(bench, &database.url, None, USUAL, LONG_BACKLOG).await?;
    let name = format!("{USUAL}, a backlog of {LONG_BACKLOG}");
    let mut auditor = Auditor::new(name, &database, Scope::AllTables)?;
    for series in slices {
        // All slices would not fit into memory, so each is prepared again.
        auditor = auditor.accepted(&slice(series), 0..LONG_SLICE).await?;
    }
    Ok((figures, Some(auditor.finish(&bench.redis).await?)))
}

/// The rows of one worker, two and so on, each with their number.
pub(crate) fn scaling(results: &Results) -> Vec<(f64, &VariantResult)> {
    let row = |n| Some((count(n), results.row(DRAIN, scaled(n))?));
    (1..=WORKERS_MAX).filter_map(row).collect()
}

/// The processes that committing costs.
pub(crate) const COMMITTING: [Role; 3] = [Role::Worker, Role::Redis, Role::Postgres];

fn goals(results: &Results) -> Vec<Goal> {
    let usual = results.row(DRAIN, USUAL).map(|row| &row.median);
    let rate = usual.map(|usual| usual.rate_per_s);
    let cpu = usual.and_then(|usual| usual.cpu_us(&COMMITTING));
    let batch = usual.and_then(|usual| usual.latency).map(|l| l.p99_ms);
    let second = results.rate_ratio(DRAIN, [scaled(2), scaled(1)]);
    vec![
        at_least(25_000.0, "worker, two committers: events/s", rate),
        at_most(65.0, "worker + Redis + PostgreSQL: CPU µs per event", cpu),
        at_most(45.0, "the same, aimed at", cpu).aim(),
        at_most(50.0, "worker: batch p99 ms", batch),
        at_least(1.7, "two workers / one, a committer each", second),
    ]
}

/// The long backlog is drained once and in no round, so it is compared with medians.
fn long_goals(results: &Results, long: &VariantResult) -> Vec<Goal> {
    let by_usual = |figure: &dyn Fn(&Figures) -> Option<f64>| {
        Some(figure(&long.median)? / figure(&results.row(DRAIN, USUAL)?.median)?)
    };
    let rate = by_usual(&|run| Some(run.rate_per_s));
    let peak = by_usual(&|run| run.other(Other::WorkerResidentPeakMib));
    vec![
        at_least(
            0.9,
            "worker, backlog of two million: rate / usual rate",
            rate,
        ),
        at_most(
            1.2,
            "worker, backlog of two million: peak memory / usual",
            peak,
        ),
    ]
}
