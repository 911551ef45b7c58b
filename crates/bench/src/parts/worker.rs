//! Committing: a filled backlog drained by one worker, by several, and by PostgreSQL's ceilings.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result};
use harkara_load::{Corpus, Mix};
use harkara_operations::verification::Scope;

use super::Found;
use crate::arguments::Part;
use crate::audit::{Audit, Auditor};
use crate::batch_times::Buckets;
use crate::bench::Bench;
use crate::drain::{self, Drained};
use crate::extent::LONG_BACKLOG;
use crate::figures::{Figures, Latency, Other, Role, count, mebibytes, number, rate};
use crate::process;
use crate::product::{Running, Stores, Telemetry};
use crate::reference::append;
use crate::reference::ledger::{self, Way};
use crate::report::goal::{Goal, at_least, at_most};
use crate::rounds::{self, Row, Stage, compare, interleaved, row_of};
use crate::servers::redis::AppendFsync;
use crate::watch::Watch;

/// The stage whose rows tell what workers can commit.
pub(crate) const STAGE: &str = "worker, a backlog drained into all tables; latency of batches";

/// The stage of the one row of the long backlog.
const LONG: &str =
    "worker, a backlog of two million entries drained into all tables; latency of batches";

/// The worker's histogram of the time from taking up a batch to its acknowledgement.
const BATCH_SECONDS: &str = "harkara_worker_batch_seconds";

/// Deliveries of the long backlog that are prepared at once.
const LONG_SLICE: usize = 200_000;

/// How many workers drain, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    pub(crate) n: usize,
    /// Batches that each commits at once.
    pub(crate) committers: usize,
    pub(crate) mix: Mix,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Workers(Workers),
    Rows(Way),
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n| if n == 1 { "" } else { "s" };
        let Self { n, committers, mix } = *self;
        write!(
            f,
            "{n} worker{} × {committers} committer{}",
            plural(n),
            plural(committers)
        )?;
        match mix {
            Mix::Realistic => Ok(()),
            Mix::Payments => f.write_str(", payments only"),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workers(workers) => workers.fmt(f),
            Self::Rows(Way::Unnest) => f.write_str("unnest into the ledger's columns alone"),
            Self::Rows(Way::Copy) => f.write_str("COPY BINARY into the ledger's columns alone"),
        }
    }
}

/// `n` workers with one committer each.
pub(crate) const fn scaled(n: usize) -> Workers {
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

/// Most workers of the plot.
pub(crate) const WORKERS_MAX: usize = 3;

const UNNEST: Variant = Variant::Rows(Way::Unnest);

pub(crate) async fn measure(bench: &Bench, found: &mut Found) -> Result<()> {
    let extent = &bench.extent;
    let mut variants = vec![Variant::Workers(USUAL)];
    variants.extend((1..=WORKERS_MAX).map(|n| Variant::Workers(scaled(n))));
    variants.extend([Variant::Workers(PAYMENTS), UNNEST, Variant::Rows(Way::Copy)]);
    let stage = Stage {
        part: Part::Worker,
        title: STAGE,
        rounds: extent.rounds_others,
    };
    let audits = &mut found.audits;
    let mut rows = interleaved(
        extent,
        &stage,
        &variants,
        &mut found.variants,
        async |variant| match variant {
            Variant::Workers(workers) => drain_run(bench, workers, None, audits).await,
            Variant::Rows(way) => rows_run(bench, way).await,
        },
    )
    .await?;
    compare(&mut rows, &UNNEST.to_string());
    found.goals.extend(goals(&rows));
    if extent.long {
        let long = long_run(bench, &mut found.audits).await?;
        found.goals.extend(long_goals(&rows, &long));
        rows.push(long);
    }
    found.rows.extend(rows);
    Ok(())
}

/// One backlog drained; the ledger is audited.
pub(crate) async fn drain_run(
    bench: &Bench,
    workers: Workers,
    telemetry: Option<Telemetry>,
    audits: &mut Vec<Audit>,
) -> Result<Figures> {
    let n = bench.extent.worker_events;
    let corpus = bench.corpus(workers.mix, n);
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let is_sampled = telemetry.is_some_and(|telemetry| telemetry.keeps_all);
    append::append(&bench.redis, &corpus, 0..n, &bench.secret, is_sampled).await?;
    let stores = Stores {
        telemetry,
        ..bench.stores(&database)
    };
    let figures = drained(bench, &stores, workers, n).await?;
    let auditor = Auditor::new(&workers.to_string(), &database, Scope::AllTables)?;
    let auditor = auditor.accepted(&corpus, 0..n).await?;
    audits.push(auditor.finish(&bench.redis).await?);
    Ok(figures)
}

/// Starts workers on a backlog of `n`, waits until it is drained, and stops them.
async fn drained(
    bench: &Bench,
    stores: &Stores<'_>,
    workers: Workers,
    n: usize,
) -> Result<Figures> {
    let redis_bytes = number(bench.redis.bytes_of_keys().await?) / count(n);
    let wal_before = bench.postgres.wal_bytes().await?;
    let mut watch = Watch::begin(&[bench.redis_process(), bench.postgres_process()], false)?;
    let starts = (0..workers.n).map(|_| async {
        let worker = bench.product.worker(stores, workers.committers).await?;
        let resident = process::resident_of_tree(worker.program.pid)?;
        anyhow::Ok((worker, resident))
    });
    let start = futures_util::future::try_join_all(starts);
    // The workers claim from their first moment on, so the looking begins with their start.
    let watching = drain::watch(n, async || bench.redis.n_entries().await);
    let (started, drained): (Vec<(Running, u64)>, Drained) = tokio::try_join!(start, watching)?;
    for (worker, _) in &started {
        watch.add(Role::Worker, worker.program.pid);
    }
    let committed = n - drained.gone_at_first;
    let mut figures = Figures {
        events: count(n),
        rate_per_s: rate(committed, drained.elapsed),
        redis_bytes_per_event: Some(redis_bytes),
        ..Figures::default()
    };
    watch.end(n, &mut figures)?;
    let wal = bench.postgres.wal_bytes().await? - wal_before;
    figures.wal_bytes_per_event = Some(number(wal) / count(n));
    if let [(worker, at_start)] = &started[..] {
        let peak = process::resident_peak(worker.program.pid)?;
        figures.others.extend([
            (Other::WorkerResidentStartMib, mebibytes(*at_start)),
            (Other::WorkerResidentPeakMib, mebibytes(peak)),
            (Other::StartMs, worker.start_ms),
        ]);
    }
    figures.latency = batches(&started).await?;
    for (worker, _) in started {
        worker.stop().await?;
    }
    Ok(figures)
}

/// How long the workers' batches took, from taking them up to acknowledging them.
async fn batches(workers: &[(Running, u64)]) -> Result<Option<Latency>> {
    let mut all: Option<Buckets> = None;
    for (worker, _) in workers {
        let metrics = worker.metrics().await?;
        let one = Buckets::read(&metrics, BATCH_SECONDS)
            .with_context(|| format!("a worker tells no {BATCH_SECONDS}"))?;
        all = Some(match all {
            None => one,
            Some(others) => others
                .add(&one)
                .context("workers tell the time of batches in different buckets")?,
        });
    }
    Ok(all.as_ref().and_then(Latency::of_buckets))
}

async fn rows_run(bench: &Bench, way: Way) -> Result<Figures> {
    let n = bench.extent.worker_events;
    let corpus = bench.corpus(Mix::Realistic, n);
    let database = bench.postgres.fresh().await?;
    let wal_before = bench.postgres.wal_bytes().await?;
    let watch = Watch::begin(&[bench.postgres_process()], true)?;
    let elapsed = ledger::write(&database, &corpus, 0..n, way).await?;
    let mut figures = Figures {
        events: count(n),
        rate_per_s: rate(n, elapsed),
        ..Figures::default()
    };
    watch.end(n, &mut figures)?;
    let wal = bench.postgres.wal_bytes().await? - wal_before;
    figures.wal_bytes_per_event = Some(number(wal) / count(n));
    Ok(figures)
}

/// A backlog of two million entries, prepared in slices, drained as any other.
async fn long_run(bench: &Bench, audits: &mut Vec<Audit>) -> Result<Row> {
    let variant = format!("{USUAL}, a backlog of {LONG_BACKLOG}");
    eprintln!("{LONG}: {USUAL}");
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let slices = 1..=LONG_BACKLOG / LONG_SLICE;
    let slice = |series: usize| -> Result<Corpus> {
        Ok(bench.other_corpus(Mix::Realistic, LONG_SLICE, u64::try_from(series)?))
    };
    for series in slices.clone() {
        let corpus = Arc::new(slice(series)?);
        append::append(&bench.redis, &corpus, 0..LONG_SLICE, &bench.secret, false).await?;
        eprintln!("    {} entries wait", series * LONG_SLICE);
    }
    let figures = drained(bench, &bench.stores(&database), USUAL, LONG_BACKLOG).await?;
    let mut auditor = Auditor::new(&variant, &database, Scope::AllTables)?;
    for series in slices {
        // All slices would not fit into memory, so each is prepared again.
        auditor = auditor.accepted(&slice(series)?, 0..LONG_SLICE).await?;
    }
    audits.push(auditor.finish(&bench.redis).await?);
    Ok(Row::new(
        Part::Worker,
        LONG,
        &USUAL.to_string(),
        vec![figures],
    ))
}

/// The processes that committing costs.
pub(crate) const COMMITTING: [Role; 3] = [Role::Worker, Role::Redis, Role::Postgres];

fn goals(rows: &[Row]) -> Vec<Goal> {
    let usual = row_of(rows, STAGE, &USUAL.to_string());
    let cpu = usual.and_then(|row| row.median.cpu_us(&COMMITTING));
    let batch = usual.and_then(|row| row.median.latency);
    let scaled = |n| row_of(rows, STAGE, &scaled(n).to_string());
    let second = scaled(2)
        .zip(scaled(1))
        .and_then(|(two, one)| rounds::ratio(two, one, |run| Some(run.rate_per_s)));
    vec![
        at_least(
            25_000.0,
            "worker, two committers: events/s",
            usual.map(|row| row.median.rate_per_s),
        ),
        at_most(65.0, "worker + Redis + PostgreSQL: CPU µs per event", cpu),
        at_most(45.0, "the same, aimed at", cpu).aim(),
        at_most(50.0, "worker: batch p99 ms", batch.map(|l| l.p99_ms)),
        at_least(1.7, "two workers / one, a committer each", second),
    ]
}

/// The long backlog is drained once and in no round, so it is compared with medians.
fn long_goals(rows: &[Row], long: &Row) -> Vec<Goal> {
    let by_usual = |figure: &dyn Fn(&Row) -> Option<f64>| {
        let usual = row_of(rows, STAGE, &USUAL.to_string())?;
        Some(figure(long)? / figure(usual)?)
    };
    let peak = |row: &Row| row.median.other(Other::WorkerResidentPeakMib);
    vec![
        at_least(
            0.9,
            "worker, backlog of two million: rate / usual rate",
            by_usual(&|row| Some(row.median.rate_per_s)),
        ),
        at_most(
            1.2,
            "worker, backlog of two million: peak memory / usual",
            by_usual(&peak),
        ),
    ]
}
