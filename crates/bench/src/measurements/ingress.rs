//! Receiving: capacity beside its ceilings, then latency at fixed rates.

use anyhow::Result;
use harkara_load::{Mix, TICK_FINE};

use super::receiving::{AtRate, receive};
use crate::arguments::{Part, ReferenceServer};
use crate::audit::audit_streams;
use crate::bench::Bench;
use crate::figures::{Figures, Other, Role, rate};
use crate::generator::{Model, Traffic};
use crate::product::Telemetry;
use crate::redis_server::AppendFsync;
use crate::reference::{self, append};
use crate::report::goal::{Goal, at_least, at_most};
use crate::results::{Results, Run, Stage, VariantResult, ratio};
use crate::usage::Usage;

/// Capacity.
const CAPACITY: &str = "ingress, closed model, 128 connections";

/// Latency by rate.
const LATENCY: &str = "ingress, open model, everysec";

/// The rate with a goal for latency.
const GOAL_RATE: f64 = 10_000.0;

/// The rate whose cost others are compared with.
const SLOW_RATE: f64 = 5_000.0;

/// Rates of the plot.
const RATES: [f64; 8] = [
    2_000.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0,
];

#[derive(Clone, Copy, PartialEq, Eq, strum::Display)]
enum Variant {
    #[strum(to_string = "{0}")]
    Reference(ReferenceServer),
    #[strum(to_string = "ingress, {0}")]
    Ingress(AppendFsync),
    #[strum(to_string = "pipelined XADD, {0}")]
    Append(AppendFsync),
}

const VERIFY: Variant = Variant::Reference(ReferenceServer::Verify);
const EVERYSEC: Variant = Variant::Ingress(AppendFsync::Everysec);
const ALWAYS: Variant = Variant::Ingress(AppendFsync::Always);

/// The receiver at a rate of the open model.
#[derive(Clone, Copy, strum::Display)]
enum Timed {
    #[strum(to_string = "{0}")]
    Ingress(AtRate),
    /// Shows what the machine and the generator alone take.
    #[strum(to_string = "{0}, no-op server")]
    NoOp(AtRate),
}

pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let scale = &bench.scale;
    let mut variants = vec![
        Variant::Reference(ReferenceServer::Noop),
        VERIFY,
        EVERYSEC,
        ALWAYS,
        Variant::Append(AppendFsync::Everysec),
        Variant::Append(AppendFsync::Always),
    ];
    if scale.shared_servers {
        let always = [ALWAYS, Variant::Append(AppendFsync::Always)];
        variants.retain(|variant| !always.contains(variant));
        let note = "appendfsync always was left out: the servers are shared";
        results.notes.push(note.to_owned());
    }
    let stage = Stage(Part::Ingress, CAPACITY, scale.rounds_ingress);
    let run = async |variant| capacity_run(bench, variant).await;
    results.measure(scale, stage, &variants, run).await?;
    results.compare(CAPACITY, VERIFY);

    let (rates, no_op): (&[f64], f64) = if scale.quick {
        (&[500.0], 500.0)
    } else {
        (&RATES, GOAL_RATE)
    };
    let mut timed: Vec<Timed> = rates
        .iter()
        .map(|rate| Timed::Ingress(AtRate(*rate)))
        .collect();
    timed.push(Timed::NoOp(AtRate(no_op)));
    // The sweep is for the plot and the goals at a few of its rates, so medians of three do.
    let stage = Stage(Part::Ingress, LATENCY, scale.rounds_ingress.min(3));
    let run = async |timed| latency_run(bench, timed).await;
    results.measure(scale, stage, &timed, run).await?;
    results.goals.extend(capacity_goals(results));
    results.goals.extend(latency_goals(results));
    Ok(())
}

async fn capacity_run(bench: &Bench, variant: Variant) -> Result<Run> {
    let traffic = bench.closed(Mix::Realistic);
    match variant {
        Variant::Reference(kind) => reference_run(bench, kind, traffic).await,
        Variant::Ingress(policy) => {
            ingress_run(bench, &variant.to_string(), policy, traffic, None).await
        }
        Variant::Append(policy) => Ok((append_run(bench, policy).await?, None)),
    }
}

async fn latency_run(bench: &Bench, timed: Timed) -> Result<Run> {
    let (Timed::Ingress(rate) | Timed::NoOp(rate)) = timed;
    let traffic = Traffic {
        mix: Mix::Realistic,
        model: Model::Open {
            rate_per_s: rate.0,
            tick: TICK_FINE,
        },
        duration: if (rate.0 - GOAL_RATE).abs() < 1.0 {
            bench.scale.open
        } else {
            bench.scale.closed
        },
    };
    if let Timed::NoOp(_) = timed {
        return reference_run(bench, ReferenceServer::Noop, traffic).await;
    }
    let name = format!("ingress at {rate}");
    ingress_run(bench, &name, AppendFsync::Everysec, traffic, None).await
}

/// One run of a server that keeps nothing.
async fn reference_run(bench: &Bench, kind: ReferenceServer, traffic: Traffic) -> Result<Run> {
    let (server, address) = reference::start(kind).await?;
    let received = receive(bench, address, &[(Role::Ingress, server.pid)], traffic).await?;
    server.stop().await?;
    Ok((received.figures, None))
}

/// One run of the ingress with an empty Redis; the streams are audited under this name.
pub(crate) async fn ingress_run(
    bench: &Bench,
    name: &str,
    policy: AppendFsync,
    traffic: Traffic,
    telemetry: Option<Telemetry>,
) -> Result<Run> {
    let Bench { product, redis, .. } = bench;
    let database = bench.fresh(policy).await?;
    let (ingress, address) = product.ingress(&database.url, policy, telemetry).await?;
    let processes = [(Role::Ingress, ingress.program.pid), bench.redis_process()];
    let received = receive(bench, address, &processes, traffic).await?;
    let audit = audit_streams(name, redis, received.event_ids()).await?;
    let bytes_per_event = redis.bytes_per_event(received.n_accepted()).await?;
    let mut figures = received.figures;
    figures.redis_bytes_per_event = Some(bytes_per_event);
    figures.others.insert(Other::StartMs, ingress.start_ms);
    ingress.program.stop().await?;
    redis.flush().await?;
    Ok((figures, Some(audit)))
}

async fn append_run(bench: &Bench, policy: AppendFsync) -> Result<Figures> {
    let n = bench.scale.worker_events;
    let corpus = bench.corpus(Mix::Realistic, n);
    bench.fresh_redis(policy).await?;
    // Rendering is not Redis's work, and this process's time would be mostly that.
    let usage = Usage::begin(&bench.postgres, &[bench.redis_process()]).await?;
    let elapsed = append::append(&bench.redis, &corpus, 0..n, false).await?;
    let mut figures = usage.end(n, rate(n, elapsed)).await?;
    figures.redis_bytes_per_event = Some(bench.redis.bytes_per_event(n).await?);
    bench.redis.flush().await?;
    Ok(figures)
}

/// The processes that receiving costs.
pub(crate) const RECEIVING: [Role; 2] = [Role::Ingress, Role::Redis];

fn capacity_goals(results: &Results) -> Vec<Goal> {
    let of_verify = |variant| results.rate_ratio(CAPACITY, [variant, VERIFY]);
    let everysec = results.row(CAPACITY, EVERYSEC);
    let cpu = everysec.and_then(|row| row.median.cpu_us(&RECEIVING));
    vec![
        at_least(
            0.60,
            "ingress, everysec: rate / verify-only server's",
            of_verify(EVERYSEC),
        ),
        at_most(24.0, "ingress + Redis, everysec: CPU µs per webhook", cpu),
        at_most(20.0, "the same, aimed at", cpu).aim(),
        at_least(
            0.45,
            "ingress, always: rate / verify-only server's",
            of_verify(ALWAYS),
        ),
    ]
}

/// The rows by rate, lowest first, as far as the rate was reached.
pub(crate) fn reached_rates(results: &Results) -> Vec<&VariantResult> {
    let reached = |rate| AtRate(rate).reached(results.row(LATENCY, AtRate(rate))?);
    RATES.into_iter().filter_map(reached).collect()
}

fn latency_goals(results: &Results) -> Vec<Goal> {
    let reached = |rate| AtRate(rate).reached(results.row(LATENCY, AtRate(rate))?);
    let latency = reached(GOAL_RATE).and_then(|row| row.median.latency);
    let faster = RATES.into_iter().rev().take_while(|rate| *rate > SLOW_RATE);
    let fastest = faster.into_iter().find_map(reached);
    let growth = fastest
        .zip(reached(SLOW_RATE))
        .and_then(|(fast, slow)| ratio(fast, slow, |run| run.cpu_us(&[Role::Ingress])));
    let at = fastest.map_or("the fastest rate", |row| row.variant.as_str());
    let what = format!("ingress CPU per webhook at {at} / at 5,000/s");
    vec![
        at_most(
            0.5,
            "ingress at 10,000/s, everysec: p50 ms",
            latency.map(|l| l.p50_ms),
        ),
        at_most(
            2.0,
            "ingress at 10,000/s, everysec: p99 ms",
            latency.map(|l| l.p99_ms),
        ),
        at_most(1.0, &what, growth),
    ]
}
