//! End to end: generator, ingress, Redis, worker and PostgreSQL on one machine.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harkara_load::{Mix, TICK_COARSE};
use harkara_operations::verification::Scope;

use super::receiving::{AtRate, REACHED};
use super::worker::USUAL;
use crate::arguments::Part;
use crate::audit::Auditor;
use crate::bench::Bench;
use crate::drain::drain_rate;
use crate::figures::{Latency, Other, Role, count, rate, whole};
use crate::generator::{self, Model};
use crate::postgres_server::Database;
use crate::redis_server::{AppendFsync, RedisServer};
use crate::report::goal::{Goal, at_least, at_most};
use crate::results::{Results, Run, Stage};
use crate::usage::{THIS_PROCESS, Usage};

const TITLE: &str =
    "end to end, open model, everysec; latency from receipt to commit, after the first two seconds";

/// Deliveries of this long are left out of the latency: new connections prepare their statements, new
/// tables get their first pages, and what is measured is a rate that lasts.
const STARTING_S: f64 = 2.0;

/// The rate that has a goal.
const GOAL_RATE: f64 = 15_000.0;

/// A backlog grows if its growth exceeds this share of the arrivals.
const GROWTH_MAX: f64 = 0.01;

/// Time between two samples of the backlog.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let scale = &bench.scale;
    let rates: Vec<AtRate> = scale.e2e_rates.iter().copied().map(AtRate).collect();
    let stage = Stage(Part::E2e, TITLE, scale.rounds_others);
    let run = async |rate| run(bench, rate).await;
    results.measure(scale, stage, &rates, run).await?;
    results.goals.extend(goals(results));
    Ok(())
}

/// Errs if PostgreSQL does not keep what latency is read from: better now than after all other measurements.
pub(crate) async fn ensure_measurable(bench: &Bench) -> Result<()> {
    let tracks = bench.postgres.setting("track_commit_timestamp").await?;
    ensure!(
        tracks == "on",
        "latency is read from the times of commits, and PostgreSQL does not keep them; start it with \
         track_commit_timestamp=on"
    );
    Ok(())
}

async fn run(bench: &Bench, at_rate: AtRate) -> Result<Run> {
    let Bench { product, redis, .. } = bench;
    let (AtRate(rate_per_s), duration) = (at_rate, bench.scale.e2e);
    let n = whole(rate_per_s * duration.as_secs_f64());
    let corpus = bench.corpus(Mix::Realistic, n);
    let policy = AppendFsync::Everysec;
    let database = bench.fresh(policy).await?;
    let worker = product
        .worker(&database.url, USUAL.committers, None)
        .await?;
    let (ingress, address) = product.ingress(&database.url, policy, None).await?;
    let processes = [
        THIS_PROCESS,
        (Role::Ingress, ingress.program.pid),
        bench.redis_process(),
        (Role::Worker, worker.program.pid),
        bench.postgres_process(),
    ];
    let usage = Usage::begin(&bench.postgres, &processes).await?;
    let model = Model::Open {
        rate_per_s,
        // Latency is read from the ledger here, in tens of milliseconds.
        tick: TICK_COARSE,
    };
    let sending = generator::send(address, &corpus, 0..n, model, duration);
    let (sent, backlog) = sampling_backlog(redis, sending).await?;
    drain_rate(n, async || redis.n_entries().await).await?;
    let accepted = sent.accepted.count_ones(..);
    let mut figures = usage.end(accepted, rate(accepted, sent.elapsed)).await?;
    figures.latency = committed_after(&database).await?;
    let entries = backlog.iter().map(|(_, entries)| *entries);
    figures.others.extend([
        (Other::BacklogMax, entries.fold(0.0, f64::max)),
        (Other::NotAccepted, count(sent.sent - accepted)),
        (Other::Unsent, count(sent.unsent)),
    ]);
    let growth = growth_per_s(&backlog).map(|growth| (Other::BacklogGrowthPerS, growth));
    figures.others.extend(growth);
    ingress.program.stop().await?;
    worker.program.stop().await?;
    let auditor = Auditor::new(
        format!("end to end at {at_rate}"),
        &database,
        Scope::AllTables,
    )?;
    let auditor = auditor.sent(&corpus, &sent).await?;
    Ok((figures, Some(auditor.finish(redis).await?)))
}

/// Seconds since the start, and the number of entries then.
type Backlog = Vec<(f64, f64)>;

async fn sampling_backlog<T>(
    redis: &RedisServer,
    sending: impl Future<Output = Result<T>>,
) -> Result<(T, Backlog)> {
    let began = Instant::now();
    let mut backlog = Vec::new();
    let mut sending = std::pin::pin!(sending);
    loop {
        tokio::select! {
            biased;
            sent = &mut sending => return Ok((sent?, backlog)),
            () = tokio::time::sleep(SAMPLE_EVERY) => {
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
/// `None` if all of the run was its start.
async fn committed_after(database: &Database) -> Result<Option<Latency>> {
    let percentiles = "SELECT percentile_disc(ARRAY[0.5, 0.99, 0.999, 1.0]) WITHIN GROUP (ORDER BY \
         (extract(epoch FROM pg_xact_commit_timestamp(xmin) - created_at) * 1000)::float8) \
         FROM webhook_events WHERE created_at >= \
         (SELECT min(created_at) FROM webhook_events) + $1 * interval '1 second'";
    let times: Option<Vec<f64>> = database.value(percentiles, &[&STARTING_S]).await?;
    Ok(match times.as_deref() {
        Some(&[half, most, nearly_all, max]) => Some(Latency {
            p50_ms: half,
            p99_ms: most,
            p999_ms: Some(nearly_all),
            max_ms: Some(max),
        }),
        _ => None,
    })
}

/// The slope of the line that fits the backlog best; its first quarter is the start and is left out.
/// `None` if fewer than two samples remain.
fn growth_per_s(backlog: &[(f64, f64)]) -> Option<f64> {
    let settled = &backlog[backlog.len() / 4..];
    if settled.len() < 2 {
        return None;
    }
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        let values = settled.iter().map(|(time, entries)| of(*time, *entries));
        values.sum::<f64>() / count(settled.len())
    };
    let (mean_time, mean_entries) = (mean(&|time, _| time), mean(&|_, entries| entries));
    let covariance = mean(&|time, entries| (time - mean_time) * (entries - mean_entries));
    let variance = mean(&|time, _| (time - mean_time).powi(2));
    Some(covariance / variance)
}

fn goals(results: &Results) -> Vec<Goal> {
    let rate = AtRate(GOAL_RATE);
    let row = results.row(TITLE, rate);
    let reached = row.and_then(|row| rate.reached(row)).map(|row| &row.median);
    let growth = reached.and_then(|median| median.other(Other::BacklogGrowthPerS));
    vec![
        at_least(
            GOAL_RATE * REACHED,
            "end to end at 15,000/s: accepted/s (2 % off the rate counts as the rate)",
            row.map(|row| row.median.rate_per_s),
        ),
        at_most(
            250.0,
            "end to end at 15,000/s: receipt to commit, p99 ms",
            reached.and_then(|median| median.latency).map(|l| l.p99_ms),
        ),
        at_most(
            GROWTH_MAX,
            "end to end at 15,000/s: growth of the backlog / rate",
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
