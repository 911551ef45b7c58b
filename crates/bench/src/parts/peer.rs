//! What people would use instead, in the same rounds as the product.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use harkara_load::Mix;

use super::Found;
use super::ingress::{Receiver, ingress_run, received, row_of};
use super::worker::{COMMITTING, PAYMENTS, drain_run};
use crate::arguments::Part;
use crate::audit::Audit;
use crate::bench::Bench;
use crate::drain;
use crate::figures::{Figures, Role, bytes, count, rate};
use crate::generator::{self, Model};
use crate::measure::Watch;
use crate::peer::{Framework, Peer};
use crate::report::goal::{Goal, at_least};
use crate::rounds::{self, Row, compare, interleaved};
use crate::servers::redis::AppendFsync;

const ACCEPT: &str = "accepting beside the peer, closed model, 128 connections, everysec, payments";
const COMMIT: &str = "committing beside the peer, payments, the same tables";

/// How long the filling of the peer's queue may take.
const FILL_BOUND: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Accepting {
    Harkara,
    Peer {
        framework: Framework,
        clustered: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Committing {
    Harkara,
    Peer,
}

impl fmt::Display for Accepting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Harkara => f.write_str("Harkara ingress"),
            Self::Peer {
                framework,
                clustered,
            } => {
                let processes = if *clustered {
                    "cluster of 2"
                } else {
                    "1 process"
                };
                write!(f, "{framework:?} + BullMQ, {processes}")
            }
        }
    }
}

impl fmt::Display for Committing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Harkara => "Harkara worker",
            Self::Peer => "BullMQ worker, concurrency 10",
        })
    }
}

const fn peer(framework: Framework, clustered: bool) -> Accepting {
    Accepting::Peer {
        framework,
        clustered,
    }
}

const ACCEPTING: [Accepting; 5] = [
    Accepting::Harkara,
    peer(Framework::Express, false),
    peer(Framework::Express, true),
    peer(Framework::Fastify, false),
    peer(Framework::Fastify, true),
];

pub(crate) async fn measure(bench: &Bench, must_be: bool, found: &mut Found) -> Result<()> {
    let Some(peer) = &bench.peer else {
        if must_be {
            bail!("the peer cannot run: HARKARA_BENCH_PEER names no folder; is Node.js installed?");
        }
        found
            .notes
            .push("the peer was left out: Node.js 20 or newer is not installed".to_owned());
        return Ok(());
    };
    let extent = &bench.extent;
    let mut accepting = interleaved(
        extent,
        (Part::Peer, ACCEPT),
        extent.rounds_others,
        &ACCEPTING,
        async |variant| match variant {
            Accepting::Harkara => {
                let closed = extent.closed;
                let policy = AppendFsync::Everysec;
                ingress_run(bench, policy, Mix::Payments, Model::Closed, closed).await
            }
            Accepting::Peer {
                framework,
                clustered,
            } => peer_accepting(bench, peer, framework, clustered).await,
        },
    )
    .await?;
    compare(&mut accepting, &Accepting::Harkara.to_string());
    let audits = &mut found.audits;
    let mut committing = interleaved(
        extent,
        (Part::Peer, COMMIT),
        extent.rounds_others,
        &[Committing::Harkara, Committing::Peer],
        async |variant| match variant {
            Committing::Harkara => Ok(Figures {
                // The peer knows no batches.
                latency: None,
                ..drain_run(bench, PAYMENTS, audits).await?
            }),
            Committing::Peer => peer_committing(bench, peer, audits).await,
        },
    )
    .await?;
    compare(&mut committing, &Committing::Harkara.to_string());
    found.goals.extend(goals(&accepting, &committing));
    found.rows.extend(accepting);
    found.rows.extend(committing);
    Ok(())
}

async fn peer_accepting(
    bench: &Bench,
    peer: &Peer,
    framework: Framework,
    clustered: bool,
) -> Result<Figures> {
    bench.fresh_redis(AppendFsync::Everysec).await?;
    let memory_before = bench.redis.used_memory().await?;
    let (program, address) = peer
        .ingress(framework, clustered, &bench.redis, &bench.secret)
        .await?;
    let receiver = Receiver {
        address,
        processes: vec![(Role::Ingress, program.pid), bench.redis_process()],
    };
    let closed = bench.extent.closed;
    let (mut figures, accepted) =
        received(bench, receiver, Mix::Payments, Model::Closed, closed).await?;
    let jobs = peer.n_jobs(&bench.redis).await?;
    ensure!(
        jobs == accepted,
        "{accepted} deliveries were accepted, but there are {jobs} jobs"
    );
    program.stop().await?;
    let memory = bench
        .redis
        .used_memory()
        .await?
        .saturating_sub(memory_before);
    figures.redis_bytes_per_event = Some(bytes(memory) / count(jobs.max(1)));
    bench.redis.flush().await?;
    Ok(figures)
}

/// Jobs added by the peer's own ingress, then done by its worker.
async fn peer_committing(bench: &Bench, peer: &Peer, audits: &mut Vec<Audit>) -> Result<Figures> {
    let n = bench.extent.peer_jobs;
    let corpus = bench.corpus(Mix::Payments, n);
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let (ingress, address) = peer
        .ingress(Framework::Fastify, false, &bench.redis, &bench.secret)
        .await?;
    let sent = generator::send(address, &corpus, 0..n, Model::Closed, FILL_BOUND).await?;
    ingress.stop().await?;
    let jobs = peer.n_jobs(&bench.redis).await?;
    ensure!(
        jobs == n && sent.accepted.len() == n,
        "{n} deliveries were sent, but there are {jobs} jobs"
    );
    let wal_before = bench.postgres.wal_bytes().await?;
    let mut watch = Watch::begin(&[bench.redis_process(), bench.postgres_process()], false)?;
    let start = peer.worker(&bench.redis, &database.url);
    let watching = drain::watch(n, async || peer.n_jobs(&bench.redis).await);
    let (worker, drained) = tokio::try_join!(start, watching)?;
    watch.add(Role::Worker, worker.pid);
    let mut figures = Figures {
        events: count(n),
        rate_per_s: rate(n - drained.gone_at_first, drained.elapsed),
        ..Figures::default()
    };
    watch.end(n, &mut figures)?;
    let wal = bench.postgres.wal_bytes().await? - wal_before;
    figures.wal_bytes_per_event = Some(bytes(wal) / count(n));
    worker.stop().await?;
    let stored = database
        .number("SELECT count(*) FROM webhook_events")
        .await?;
    let stored = usize::try_from(stored)?;
    let faults = if stored == n {
        Vec::new()
    } else {
        vec![format!("{n} jobs gave {stored} rows")]
    };
    audits.push(Audit {
        run: Committing::Peer.to_string(),
        accepted: n,
        stored,
        faults,
    });
    Ok(figures)
}

fn goals(accepting: &[Row], committing: &[Row]) -> Vec<Goal> {
    // Per CPU-second is one by CPU time per event, and so is their ratio.
    let cpu_ratio = |peer: Option<&Row>, ours: Option<&Row>, roles: &[Role]| {
        rounds::ratio(peer?, ours?, |run| run.cpu_us(roles))
    };
    let accepted = |framework| {
        let ours = row_of(accepting, &Accepting::Harkara.to_string());
        // The cheaper of its two forms counts.
        [false, true]
            .into_iter()
            .filter_map(|clustered| {
                let peer = row_of(accepting, &peer(framework, clustered).to_string());
                cpu_ratio(peer, ours, &[Role::Ingress, Role::Redis])
            })
            .reduce(f64::min)
    };
    let committed = cpu_ratio(
        row_of(committing, &Committing::Peer.to_string()),
        row_of(committing, &Committing::Harkara.to_string()),
        &COMMITTING,
    );
    vec![
        at_least(
            12.0,
            "webhooks accepted per CPU-second (ingress + Redis) / Express + BullMQ",
            accepted(Framework::Express),
        ),
        at_least(
            7.0,
            "webhooks accepted per CPU-second (ingress + Redis) / Fastify + BullMQ",
            accepted(Framework::Fastify),
        ),
        at_least(
            10.0,
            "events committed per CPU-second (worker + Redis + PostgreSQL) / BullMQ worker",
            committed,
        ),
    ]
}
