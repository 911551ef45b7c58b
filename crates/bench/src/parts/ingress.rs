//! Receiving: capacity beside its ceilings, then latency at fixed rates.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use harkara_load::{Mix, TICK_FINE};

use super::Found;
use super::receiving::{AtRate, Receiver, received};
use crate::arguments::{Part, ReferenceServer};
use crate::audit::{Audit, audit_streams};
use crate::bench::Bench;
use crate::figures::{Figures, Other, Role, count, number, rate};
use crate::generator::Model;
use crate::product::{Stores, Telemetry};
use crate::reference::{self, append};
use crate::report::goal::{Goal, at_least, at_most};
use crate::rounds::{self, Row, Stage, compare, interleaved, row_of};
use crate::servers::redis::AppendFsync;
use crate::watch::Watch;

/// The stage whose rows tell what the ingress can take.
pub(crate) const CAPACITY: &str = "ingress, closed model, 128 connections";

/// The stage whose rows tell latency against rate.
pub(crate) const LATENCY: &str = "ingress, open model, everysec";

/// The rate at which latency has a goal.
const GOAL_RATE: f64 = 10_000.0;

/// The rate whose cost others are compared with.
const SLOW_RATE: f64 = 5_000.0;

/// Rates of the plot.
pub(crate) const RATES: [f64; 8] = [
    2_000.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Reference(ReferenceServer),
    Ingress(AppendFsync),
    Append(AppendFsync),
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(ReferenceServer::Noop) => f.write_str("no-op server"),
            Self::Reference(ReferenceServer::Verify) => f.write_str("verify-only server"),
            Self::Reference(ReferenceServer::Collector) => f.write_str("collector"),
            Self::Ingress(policy) => write!(f, "ingress, {policy}"),
            Self::Append(policy) => write!(f, "pipelined XADD, {policy}"),
        }
    }
}

const VERIFY: Variant = Variant::Reference(ReferenceServer::Verify);
const EVERYSEC: Variant = Variant::Ingress(AppendFsync::Everysec);
const ALWAYS: Variant = Variant::Ingress(AppendFsync::Always);

pub(crate) async fn measure(bench: &Bench, found: &mut Found) -> Result<()> {
    let mut variants = vec![
        Variant::Reference(ReferenceServer::Noop),
        VERIFY,
        EVERYSEC,
        ALWAYS,
        Variant::Append(AppendFsync::Everysec),
        Variant::Append(AppendFsync::Always),
    ];
    if bench.extent.shared_servers {
        let always = [ALWAYS, Variant::Append(AppendFsync::Always)];
        variants.retain(|variant| !always.contains(variant));
        found
            .notes
            .push("appendfsync always was left out: the servers are shared".to_owned());
    }
    let extent = &bench.extent;
    let stage = Stage {
        part: Part::Ingress,
        title: CAPACITY,
        rounds: extent.rounds_ingress,
    };
    let audits = &mut found.audits;
    let mut capacity = interleaved(
        extent,
        &stage,
        &variants,
        &mut found.variants,
        async |variant| capacity_run(bench, variant, audits).await,
    )
    .await?;
    compare(&mut capacity, &VERIFY.to_string());

    let rates: &[f64] = if extent.quick { &[500.0] } else { &RATES };
    let mut timed: Vec<Timed> = rates
        .iter()
        .map(|rate| Timed::Ingress(AtRate(*rate)))
        .collect();
    timed.push(Timed::NoOp(AtRate(if extent.quick {
        rates[0]
    } else {
        GOAL_RATE
    })));
    let stage = Stage {
        part: Part::Ingress,
        title: LATENCY,
        // The sweep is for the plot and the goals at a few of its rates: medians of three do.
        rounds: extent.rounds_ingress.min(3),
    };
    let latency = interleaved(extent, &stage, &timed, &mut found.variants, async |timed| {
        latency_run(bench, timed, audits).await
    })
    .await?;
    found.goals.extend(capacity_goals(&capacity));
    found.goals.extend(latency_goals(&latency));
    found.rows.extend(capacity);
    found.rows.extend(latency);
    Ok(())
}

/// What answers at a rate of the open model.
#[derive(Clone, Copy)]
enum Timed {
    Ingress(AtRate),
    /// What the machine and the generator alone take.
    NoOp(AtRate),
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingress(rate) => rate.fmt(f),
            Self::NoOp(rate) => write!(f, "{rate}, no-op server"),
        }
    }
}

async fn capacity_run(bench: &Bench, variant: Variant, audits: &mut Vec<Audit>) -> Result<Figures> {
    let (model, duration) = (Model::Closed, bench.extent.closed);
    match variant {
        Variant::Reference(kind) => reference_run(bench, kind, model, duration).await,
        Variant::Ingress(policy) => {
            let run = Run {
                name: &variant.to_string(),
                policy,
                mix: Mix::Realistic,
                model,
                duration,
                telemetry: None,
            };
            ingress_run(bench, run, audits).await
        }
        Variant::Append(policy) => append_run(bench, policy).await,
    }
}

async fn latency_run(bench: &Bench, timed: Timed, audits: &mut Vec<Audit>) -> Result<Figures> {
    let (Timed::Ingress(rate) | Timed::NoOp(rate)) = timed;
    let model = Model::Open {
        rate_per_s: rate.0,
        tick: TICK_FINE,
    };
    let duration = if (rate.0 - GOAL_RATE).abs() < 1.0 {
        bench.extent.open
    } else {
        bench.extent.closed
    };
    if let Timed::NoOp(_) = timed {
        return reference_run(bench, ReferenceServer::Noop, model, duration).await;
    }
    let run = Run {
        name: &format!("ingress at {rate}"),
        policy: AppendFsync::Everysec,
        mix: Mix::Realistic,
        model,
        duration,
        telemetry: None,
    };
    ingress_run(bench, run, audits).await
}

/// One run of a server that keeps nothing.
async fn reference_run(
    bench: &Bench,
    kind: ReferenceServer,
    model: Model,
    duration: Duration,
) -> Result<Figures> {
    let (server, address) = reference::start(kind, &bench.secret).await?;
    let receiver = Receiver {
        address,
        processes: vec![(Role::Ingress, server.pid)],
    };
    let outcome = received(bench, receiver, Mix::Realistic, model, duration).await?;
    server.stop().await?;
    Ok(outcome.figures)
}

/// One run of the ingress with an empty Redis; the streams are audited.
pub(crate) async fn ingress_run(
    bench: &Bench,
    run: Run<'_>,
    audits: &mut Vec<Audit>,
) -> Result<Figures> {
    let database = bench.fresh(run.policy).await?;
    let stores = Stores {
        telemetry: run.telemetry,
        ..bench.stores(&database)
    };
    let mut ingress = bench
        .product
        .ingress(&stores, &bench.secret, run.policy)
        .await?;
    let receiver = Receiver {
        address: ingress.public()?,
        processes: vec![(Role::Ingress, ingress.program.pid), bench.redis_process()],
    };
    let outcome = received(bench, receiver, run.mix, run.model, run.duration).await?;
    ingress.program.check_alive()?;
    audits.push(audit_streams(run.name, &bench.redis, outcome.event_ids()).await?);
    let redis_bytes = number(bench.redis.bytes_of_keys().await?);
    let n_accepted = outcome.n_accepted();
    let mut figures = outcome.figures;
    figures.redis_bytes_per_event = Some(redis_bytes / count(n_accepted.max(1)));
    figures.others.insert(Other::StartMs, ingress.start_ms);
    ingress.stop().await?;
    bench.redis.flush().await?;
    Ok(figures)
}

/// What is sent to the ingress.
pub(crate) struct Run<'a> {
    /// What the audit is told under.
    pub(crate) name: &'a str,
    pub(crate) policy: AppendFsync,
    pub(crate) mix: Mix,
    pub(crate) model: Model,
    pub(crate) duration: Duration,
    pub(crate) telemetry: Option<Telemetry>,
}

async fn append_run(bench: &Bench, policy: AppendFsync) -> Result<Figures> {
    let n = bench.extent.worker_events;
    let corpus = bench.corpus(Mix::Realistic, n);
    bench.fresh_redis(policy).await?;
    // Rendering is not Redis's work, and this process's time would be mostly that.
    let watch = Watch::begin(&[bench.redis_process()], false)?;
    let elapsed = append::append(&bench.redis, &corpus, 0..n, &bench.secret, false).await?;
    let mut figures = Figures {
        events: count(n),
        rate_per_s: rate(n, elapsed),
        ..Figures::default()
    };
    watch.end(n, &mut figures)?;
    let redis_bytes = number(bench.redis.bytes_of_keys().await?);
    figures.redis_bytes_per_event = Some(redis_bytes / count(n));
    bench.redis.flush().await?;
    Ok(figures)
}

const ACCEPTING: [Role; 2] = [Role::Ingress, Role::Redis];

fn capacity_goals(rows: &[Row]) -> Vec<Goal> {
    let row = |variant: Variant| row_of(rows, CAPACITY, &variant.to_string());
    let of_verify =
        |variant| rounds::ratio(row(variant)?, row(VERIFY)?, |run| Some(run.rate_per_s));
    let cpu = row(EVERYSEC).and_then(|row| row.median.cpu_us(&ACCEPTING));
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

fn latency_goals(rows: &[Row]) -> Vec<Goal> {
    let reached = |rate: f64| {
        let row = row_of(rows, LATENCY, &AtRate(rate).to_string())?;
        AtRate(rate).reached(row)
    };
    let latency = reached(GOAL_RATE).and_then(|row| row.median.latency);
    let fastest = RATES
        .iter()
        .rev()
        .take_while(|rate| **rate > SLOW_RATE)
        .find_map(|rate| reached(*rate));
    let growth = fastest
        .zip(reached(SLOW_RATE))
        .and_then(|(fast, slow)| rounds::ratio(fast, slow, |run| run.cpu_us(&[Role::Ingress])));
    let at = fastest.map_or("the fastest rate", |row| row.variant.as_str());
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
        at_most(
            1.0,
            &format!("ingress CPU per webhook at {at} / at 5,000/s"),
            growth,
        ),
    ]
}
