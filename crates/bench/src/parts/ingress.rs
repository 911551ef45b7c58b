//! Receiving: capacity beside its ceilings, then latency at fixed rates.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use harkara_load::{Mix, TICK_FINE};

use super::Found;
use crate::arguments::{Part, ReferenceServer};
use crate::bench::Bench;
use crate::child::Program;
use crate::figures::{Figures, Latency, Other, Role, bytes, count, milliseconds, rate};
use crate::generator::{self, Model};
use crate::measure::Watch;
use crate::process::Pid;
use crate::reference::{self, append};
use crate::report::goal::{Goal, at_least, at_most};
use crate::report::table;
use crate::rounds::{self, Row, compare, interleaved};
use crate::servers::redis::AppendFsync;

/// The stage whose rows tell what the ingress can take.
pub(crate) const CAPACITY: &str = "ingress, closed model, 128 connections";

/// The stage whose rows tell latency against rate.
pub(crate) const LATENCY: &str = "ingress, open model, everysec";

/// Deliveries of one run at most; they take memory. A run that uses them up ends early.
const DELIVERIES_MAX: usize = 600_000;

/// A rate that no server here exceeds.
const RATE_MAX: usize = 110_000;

/// The rate at which latency has a goal.
const GOAL_RATE: f64 = 10_000.0;

/// Rates of the plot.
pub(crate) const RATES: [f64; 8] = [
    2_000.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0,
];

/// A rate counts as reached from this part of it on.
pub(crate) const REACHED: f64 = 0.98;

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
    let mut capacity = interleaved(
        extent,
        (Part::Ingress, CAPACITY),
        extent.rounds_ingress,
        &variants,
        async |variant| capacity_run(bench, variant).await,
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
    let latency = interleaved(
        extent,
        (Part::Ingress, LATENCY),
        // The sweep is for the plot and the goals at two of its rates: medians of three do.
        extent.rounds_ingress.min(3),
        &timed,
        async |timed| latency_run(bench, timed).await,
    )
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

/// A rate of the open model as a variant.
#[derive(Clone, Copy)]
pub(crate) struct AtRate(pub(crate) f64);

impl fmt::Display for AtRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", table::figure(self.0))
    }
}

async fn capacity_run(bench: &Bench, variant: Variant) -> Result<Figures> {
    match variant {
        Variant::Reference(kind) => {
            reference_run(bench, kind, Model::Closed, bench.extent.closed).await
        }
        Variant::Ingress(policy) => {
            ingress_run(
                bench,
                policy,
                Mix::Realistic,
                Model::Closed,
                bench.extent.closed,
            )
            .await
        }
        Variant::Append(policy) => append_run(bench, policy).await,
    }
}

async fn latency_run(bench: &Bench, timed: Timed) -> Result<Figures> {
    let (Timed::Ingress(AtRate(rate_per_s)) | Timed::NoOp(AtRate(rate_per_s))) = timed;
    let model = Model::Open {
        rate_per_s,
        tick: TICK_FINE,
    };
    let duration = if (rate_per_s - GOAL_RATE).abs() < 1.0 {
        bench.extent.open
    } else {
        bench.extent.closed
    };
    if let Timed::NoOp(_) = timed {
        return reference_run(bench, ReferenceServer::Noop, model, duration).await;
    }
    ingress_run(
        bench,
        AppendFsync::Everysec,
        Mix::Realistic,
        model,
        duration,
    )
    .await
}

/// One run of a server that keeps nothing.
async fn reference_run(
    bench: &Bench,
    kind: ReferenceServer,
    model: Model,
    duration: Duration,
) -> Result<Figures> {
    let (server, address) = reference::start(kind, &bench.secret).await?;
    let receiver = Receiver::reference(address, &server);
    let (figures, _) = received(bench, receiver, Mix::Realistic, model, duration).await?;
    server.stop().await?;
    Ok(figures)
}

/// One run of the ingress with an empty Redis; all that it accepted must be in the streams.
pub(crate) async fn ingress_run(
    bench: &Bench,
    policy: AppendFsync,
    mix: Mix,
    model: Model,
    duration: Duration,
) -> Result<Figures> {
    let database = bench.fresh(policy).await?;
    let mut ingress = bench
        .binaries
        .ingress(&bench.stores(&database), &bench.secret)
        .await?;
    let receiver = Receiver {
        address: ingress.public()?,
        processes: vec![(Role::Ingress, ingress.program.pid), bench.redis_process()],
    };
    let (mut figures, accepted) = received(bench, receiver, mix, model, duration).await?;
    ingress.program.check_alive()?;
    let entries = bench.redis.n_entries().await?;
    ensure!(
        entries == accepted,
        "{accepted} deliveries were accepted, but there are {entries} entries"
    );
    let bytes_of_streams = bytes(bench.redis.bytes_of_streams().await?);
    figures.redis_bytes_per_event = Some(bytes_of_streams / count(entries.max(1)));
    figures.others.insert(Other::StartMs, ingress.start_ms);
    ingress.stop().await?;
    bench.redis.flush().await?;
    Ok(figures)
}

/// What is sent to, and whose cost it is.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) processes: Vec<(Role, Pid)>,
}

impl Receiver {
    fn reference(address: SocketAddr, server: &Program) -> Self {
        Self {
            address,
            processes: vec![(Role::Ingress, server.pid)],
        }
    }
}

/// Warms a receiver up and measures it; returns also how many deliveries it accepted in all.
pub(crate) async fn received(
    bench: &Bench,
    receiver: Receiver,
    mix: Mix,
    model: Model,
    duration: Duration,
) -> Result<(Figures, usize)> {
    let per_s = match model {
        Model::Closed => RATE_MAX,
        Model::Open { rate_per_s, .. } => whole(rate_per_s),
    };
    let wanted = |time: Duration| whole(count(per_s) * time.as_secs_f64()) + 1;
    let warm_up = bench.extent.warm_up;
    let n_warm_up = wanted(warm_up);
    let n_all = (n_warm_up + wanted(duration)).min(DELIVERIES_MAX);
    let corpus = bench.corpus(mix, n_all);
    let Receiver { address, processes } = receiver;
    // The warm-up is at the same rate: connections and buffers are then as they will be.
    let warm = generator::send(address, &corpus, 0..n_warm_up, model, warm_up).await?;
    let watch = Watch::begin(&processes, true)?;
    let sent = generator::send(address, &corpus, n_warm_up..n_all, model, duration).await?;
    let accepted = sent.accepted.len();
    let mut figures = Figures {
        events: count(accepted),
        rate_per_s: rate(accepted, sent.elapsed),
        latency: Latency::of(&sent.latency),
        ..Figures::default()
    };
    watch.end(accepted, &mut figures)?;
    ensure!(
        sent.failed + warm.failed == 0,
        "requests were not answered: {:?}",
        sent.first_failure.or(warm.first_failure)
    );
    let others = &mut figures.others;
    others.insert(Other::NotAccepted, count(sent.sent - accepted));
    if let Model::Open { .. } = model {
        others.insert(Other::Unsent, count(sent.unsent));
        let late = sent.started_late.value_at_quantile(0.99);
        others.insert(Other::GeneratorLateP99Ms, milliseconds(late));
    }
    Ok((figures, warm.accepted.len() + accepted))
}

async fn append_run(bench: &Bench, policy: AppendFsync) -> Result<Figures> {
    let n = bench.extent.worker_events;
    let corpus = bench.corpus(Mix::Realistic, n);
    bench.fresh_redis(policy).await?;
    // Rendering is not Redis's work, and this process's time would be mostly that.
    let watch = Watch::begin(&[bench.redis_process()], false)?;
    let elapsed = append::append(&bench.redis, &corpus, 0..n, &bench.secret).await?;
    let mut figures = Figures {
        events: count(n),
        rate_per_s: rate(n, elapsed),
        ..Figures::default()
    };
    watch.end(n, &mut figures)?;
    let bytes_of_streams = bytes(bench.redis.bytes_of_streams().await?);
    figures.redis_bytes_per_event = Some(bytes_of_streams / count(n));
    bench.redis.flush().await?;
    Ok(figures)
}

/// A whole number of deliveries.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and durations are positive and small"
)]
pub(crate) fn whole(deliveries: f64) -> usize {
    deliveries as usize
}

const ACCEPTING: [Role; 2] = [Role::Ingress, Role::Redis];

fn capacity_goals(rows: &[Row]) -> Vec<Goal> {
    let row = |variant: Variant| row_of(rows, &variant.to_string());
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
    let at_goal = row_of(rows, &AtRate(GOAL_RATE).to_string());
    let latency = at_goal.and_then(|row| row.median.latency);
    let cpu = |row: &Row| row.median.cpu_us(&[Role::Ingress]);
    let slow = row_of(rows, &AtRate(5_000.0).to_string()).and_then(cpu);
    let reached = |rate: &f64| {
        row_of(rows, &AtRate(*rate).to_string())
            .filter(|row| row.median.rate_per_s >= REACHED * rate)
    };
    let fastest = RATES.iter().rev().find_map(reached);
    let growth = fastest
        .and_then(cpu)
        .zip(slow)
        .map(|(fast, slow)| fast / slow);
    let at = fastest.map_or("50,000/s", |row| row.variant.as_str());
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

pub(crate) fn row_of<'a>(rows: &'a [Row], variant: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.variant == variant)
}
