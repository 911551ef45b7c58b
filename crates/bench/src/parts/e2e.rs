//! The whole road at once: generator, ingress, Redis, worker and PostgreSQL on one machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harkara_load::{Mix, TICK_COARSE};
use harkara_operations::verification::Scope;

use super::Found;
use super::receiving::{AtRate, REACHED};
use super::worker::USUAL;
use crate::arguments::Part;
use crate::audit::{Audit, Auditor};
use crate::bench::Bench;
use crate::drain;
use crate::figures::{Figures, Latency, Other, Role, count, number, rate, whole};
use crate::generator::{self, Model};
use crate::report::goal::{Goal, at_least, at_most};
use crate::rounds::{Row, Stage, interleaved, row_of};
use crate::servers::postgres::Database;
use crate::servers::redis::{AppendFsync, Redis};
use crate::watch::Watch;

const STAGE: &str =
    "whole road, open model, everysec; latency from receipt to commit, after the first two seconds";

/// Deliveries of this long are left out of the latency: new connections prepare their statements, new
/// tables get their first pages, and what is measured is a rate that lasts.
const STARTING_S: f64 = 2.0;

/// The rate that has a goal.
const GOAL_RATE: f64 = 15_000.0;

/// A backlog grows where it grows by more than this part of what arrives.
const GROWTH_MAX: f64 = 0.01;

/// Time between two looks at the backlog.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn measure(bench: &Bench, found: &mut Found) -> Result<()> {
    let extent = &bench.extent;
    let rates: Vec<AtRate> = extent.e2e_rates.iter().map(|rate| AtRate(*rate)).collect();
    let stage = Stage {
        part: Part::E2e,
        title: STAGE,
        rounds: extent.rounds_others,
    };
    let audits = &mut found.audits;
    let rows = interleaved(
        extent,
        &stage,
        &rates,
        &mut found.variants,
        async |AtRate(rate)| run(bench, rate, audits).await,
    )
    .await?;
    found.goals.extend(goals(&rows));
    found.rows.extend(rows);
    Ok(())
}

/// Errs where PostgreSQL does not keep what latency is read from. That is better known at once than
/// after all other parts.
pub(crate) async fn ensure_measurable(bench: &Bench) -> Result<()> {
    let tracks = bench.postgres.setting("track_commit_timestamp").await?;
    ensure!(
        tracks == "on",
        "latency is read from the times of commits, and PostgreSQL does not keep them; start it with \
         track_commit_timestamp=on"
    );
    Ok(())
}

async fn run(bench: &Bench, rate_per_s: f64, audits: &mut Vec<Audit>) -> Result<Figures> {
    let duration = bench.extent.e2e;
    let n = whole(rate_per_s * duration.as_secs_f64());
    let corpus = bench.corpus(Mix::Realistic, n);
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let stores = bench.stores(&database);
    let worker = bench.product.worker(&stores, USUAL.committers).await?;
    let ingress = bench
        .product
        .ingress(&stores, &bench.secret, AppendFsync::Everysec)
        .await?;
    let wal_before = bench.postgres.wal_bytes().await?;
    let watch = Watch::begin(
        &[
            (Role::Ingress, ingress.program.pid),
            bench.redis_process(),
            (Role::Worker, worker.program.pid),
            bench.postgres_process(),
        ],
        true,
    )?;
    let sending = generator::send(
        ingress.public()?,
        &corpus,
        0..n,
        Model::Open {
            rate_per_s,
            // Latency is read from the ledger here, in tens of milliseconds.
            tick: TICK_COARSE,
        },
        duration,
    );
    let (sent, backlog) = looking_at_backlog(&bench.redis, sending).await?;
    drain::watch(n, async || bench.redis.n_entries().await).await?;
    let accepted = sent.accepted.count_ones(..);
    let mut figures = Figures {
        events: count(accepted),
        rate_per_s: rate(accepted, sent.elapsed),
        ..Figures::default()
    };
    watch.end(accepted, &mut figures)?;
    figures.latency = committed_after(&database).await?;
    let wal = bench.postgres.wal_bytes().await? - wal_before;
    figures.wal_bytes_per_event = Some(number(wal) / count(accepted.max(1)));
    let others = &mut figures.others;
    let most = backlog
        .iter()
        .map(|(_, entries)| *entries)
        .fold(0.0, f64::max);
    others.insert(Other::BacklogMax, most);
    if let Some(growth) = growth_per_s(&backlog) {
        others.insert(Other::BacklogGrowthPerS, growth);
    }
    others.insert(Other::NotAccepted, count(sent.sent - accepted));
    others.insert(Other::Unsent, count(sent.unsent));
    ingress.stop().await?;
    worker.stop().await?;
    let name = format!("whole road at {}", AtRate(rate_per_s));
    let auditor = Auditor::new(&name, &database, Scope::AllTables)?;
    let auditor = auditor.sent(&corpus, &sent).await?;
    audits.push(auditor.finish(&bench.redis).await?);
    Ok(figures)
}

/// Seconds since the beginning, and how many entries waited then.
type Backlog = Vec<(f64, f64)>;

async fn looking_at_backlog<T>(
    redis: &Redis,
    sending: impl Future<Output = Result<T>>,
) -> Result<(T, Backlog)> {
    let began = Instant::now();
    let mut backlog = Vec::new();
    let mut sending = std::pin::pin!(sending);
    loop {
        tokio::select! {
            biased;
            sent = &mut sending => return Ok((sent?, backlog)),
            () = tokio::time::sleep(LOOK_EVERY) => {
                let entries = count(redis.n_entries().await?);
                backlog.push((began.elapsed().as_secs_f64(), entries));
            }
        }
    }
}

/// From the receipt of deliveries to the commit of their events, by the ledger.
///
/// Receipt is `created_at`, in whole milliseconds by the ingress's clock. The time of a commit is taken
/// as its record is written to the log, and lacks only the wait until that is flushed.
/// `None` where all of the run was its start.
async fn committed_after(database: &Database) -> Result<Option<Latency>> {
    let row = database
        .client
        .query_one(
            "SELECT percentile_disc(ARRAY[0.5, 0.99, 0.999, 1.0]) WITHIN GROUP (ORDER BY \
             (extract(epoch FROM pg_xact_commit_timestamp(xmin) - created_at) * 1000)::float8) \
             FROM webhook_events WHERE created_at >= \
             (SELECT min(created_at) FROM webhook_events) + $1 * interval '1 second'",
            &[&STARTING_S],
        )
        .await
        .context("the ledger cannot be read")?;
    let times: Option<Vec<f64>> = row.get(0);
    Ok(match times.as_deref() {
        Some(&[half, most, nearly_all, all]) => Some(Latency {
            p50_ms: half,
            p99_ms: most,
            p999_ms: Some(nearly_all),
            max_ms: Some(all),
        }),
        _ => None,
    })
}

/// The slope of the line that fits the backlog best; its first quarter is the start and is left out.
/// `None` where fewer than two looks remain.
fn growth_per_s(backlog: &[(f64, f64)]) -> Option<f64> {
    let settled = &backlog[backlog.len() / 4..];
    if settled.len() < 2 {
        return None;
    }
    let n = count(settled.len());
    let mean_time = settled.iter().map(|(time, _)| time).sum::<f64>() / n;
    let mean_entries = settled.iter().map(|(_, entries)| entries).sum::<f64>() / n;
    let covariance: f64 = settled
        .iter()
        .map(|(time, entries)| (time - mean_time) * (entries - mean_entries))
        .sum();
    let variance: f64 = settled
        .iter()
        .map(|(time, _)| (time - mean_time).powi(2))
        .sum();
    Some(covariance / variance)
}

fn goals(rows: &[Row]) -> Vec<Goal> {
    let rate = AtRate(GOAL_RATE);
    let row = row_of(rows, STAGE, &rate.to_string());
    let reached = row.and_then(|row| rate.reached(row)).map(|row| &row.median);
    let growth = reached.and_then(|median| median.other(Other::BacklogGrowthPerS));
    vec![
        at_least(
            GOAL_RATE * REACHED,
            "whole road at 15,000/s: accepted/s (2 % off the rate counts as the rate)",
            row.map(|row| row.median.rate_per_s),
        ),
        at_most(
            250.0,
            "whole road at 15,000/s: receipt to commit, p99 ms",
            reached.and_then(|median| median.latency).map(|l| l.p99_ms),
        ),
        at_most(
            GROWTH_MAX,
            "whole road at 15,000/s: growth of the backlog / rate",
            growth.map(|growth| growth / GOAL_RATE),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::growth_per_s;

    #[test]
    fn growth_is_the_slope_after_the_start() {
        let steady: Vec<_> = (0..40)
            .map(|i| (f64::from(i), f64::from(i % 2) * 100.0))
            .collect();
        assert!(growth_per_s(&steady).unwrap().abs() < 1.0);
        let mut growing: Vec<_> = (0..40)
            .map(|i| (f64::from(i), 50.0 * f64::from(i)))
            .collect();
        assert!((growth_per_s(&growing).unwrap() - 50.0).abs() < 1e-6);
        growing[0].1 = 1e9;
        assert!((growth_per_s(&growing).unwrap() - 50.0).abs() < 1e-6);
        assert_eq!(growth_per_s(&growing[..1]), None);
    }
}
