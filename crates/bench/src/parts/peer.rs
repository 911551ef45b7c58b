//! What people would use instead, in the same rounds as the product.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use harkara_load::Mix;
use harkara_operations::verification::Scope;

use super::Found;
use super::ingress::{self, ingress_run};
use super::receiving::{Receiver, received};
use super::worker::{COMMITTING, PAYMENTS, drain_run};
use crate::arguments::Part;
use crate::audit::{Audit, Auditor};
use crate::bench::Bench;
use crate::drain;
use crate::figures::{Figures, Role, count, number, rate};
use crate::generator::{self, Model};
use crate::peer::{Framework, Peer};
use crate::report::goal::{Goal, at_least};
use crate::rounds::{self, Row, Stage, compare, interleaved, row_of};
use crate::servers::redis::AppendFsync;
use crate::watch::Watch;

const ACCEPT: &str = "accepting beside the peer, closed model, 128 connections, everysec, payments";
const COMMIT: &str = "committing beside the peer, payments, into the ledger and payments; Harkara also writes identities \
     and audit rows";

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
            bail!("the peer cannot run; `cargo dev bench` said why above");
        }
        found
            .notes
            .push("the peer was left out; `cargo dev bench` said why above".to_owned());
        return Ok(());
    };
    let extent = &bench.extent;
    let stage = |title| Stage {
        part: Part::Peer,
        title,
        rounds: extent.rounds_others,
    };
    let audits = &mut found.audits;
    let mut accepting = interleaved(
        extent,
        &stage(ACCEPT),
        &ACCEPTING,
        &mut found.variants,
        async |variant| match variant {
            Accepting::Harkara => {
                let run = ingress::Run {
                    name: "Harkara ingress",
                    policy: AppendFsync::Everysec,
                    mix: Mix::Payments,
                    model: Model::Closed,
                    duration: extent.closed,
                    telemetry: None,
                };
                ingress_run(bench, run, audits).await
            }
            Accepting::Peer {
                framework,
                clustered,
            } => peer_accepting(bench, peer, framework, clustered).await,
        },
    )
    .await?;
    compare(&mut accepting, &Accepting::Harkara.to_string());
    let mut committing = interleaved(
        extent,
        &stage(COMMIT),
        &[Committing::Harkara, Committing::Peer],
        &mut found.variants,
        async |variant| match variant {
            Committing::Harkara => Ok(Figures {
                // The peer knows no batches.
                latency: None,
                ..drain_run(bench, PAYMENTS, None, audits).await?
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
    let (program, address) = peer
        .ingress(framework, clustered, &bench.redis, &bench.secret)
        .await?;
    let receiver = Receiver {
        address,
        processes: vec![(Role::Ingress, program.pid), bench.redis_process()],
    };
    let closed = bench.extent.closed;
    let outcome = received(bench, receiver, Mix::Payments, Model::Closed, closed).await?;
    let (accepted, jobs) = (outcome.n_accepted(), peer.n_jobs(&bench.redis).await?);
    ensure!(
        jobs == accepted,
        "{accepted} deliveries were accepted, but there are {jobs} jobs"
    );
    program.stop().await?;
    let redis_bytes = number(bench.redis.bytes_of_keys().await?);
    let mut figures = outcome.figures;
    figures.redis_bytes_per_event = Some(redis_bytes / count(jobs.max(1)));
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
        jobs == n && sent.accepted.count_ones(..) == n,
        "{n} deliveries were sent, but there are {jobs} jobs"
    );
    let wal_before = bench.postgres.wal_bytes().await?;
    let mut watch = Watch::begin(&[bench.redis_process(), bench.postgres_process()], false)?;
    // Node.js takes its time to start, which so few jobs should not bear: it counts once it is ready.
    let start = async {
        let worker = peer.worker(&bench.redis, &database.url).await?;
        watch.add_from_now(Role::Worker, worker.pid)?;
        Ok(worker)
    };
    let watching = drain::watch(n, async || peer.n_jobs(&bench.redis).await);
    let (worker, drained) = tokio::try_join!(start, watching)?;
    let mut figures = Figures {
        events: count(n),
        rate_per_s: rate(n - drained.gone_at_first, drained.elapsed),
        ..Figures::default()
    };
    watch.end(n, &mut figures)?;
    let wal = bench.postgres.wal_bytes().await? - wal_before;
    figures.wal_bytes_per_event = Some(number(wal) / count(n));
    worker.stop().await?;
    let run = Committing::Peer.to_string();
    // It writes neither identities nor audit rows, and no precedence.
    let auditor = Auditor::new(&run, &database, Scope::Ledger)?;
    let auditor = auditor.accepted(&corpus, 0..n).await?;
    audits.push(auditor.finish(&bench.redis).await?);
    Ok(figures)
}

fn goals(accepting: &[Row], committing: &[Row]) -> Vec<Goal> {
    // Per CPU-second is one by CPU time per event, and so is their ratio.
    let cpu_ratio = |peer: Option<&Row>, ours: Option<&Row>, roles: &[Role]| {
        rounds::ratio(peer?, ours?, |run| run.cpu_us(roles))
    };
    let accepted = |framework| {
        let ours = row_of(accepting, ACCEPT, &Accepting::Harkara.to_string());
        // The cheaper of its two forms counts.
        [false, true]
            .into_iter()
            .filter_map(|clustered| {
                let peer = row_of(accepting, ACCEPT, &peer(framework, clustered).to_string());
                cpu_ratio(peer, ours, &[Role::Ingress, Role::Redis])
            })
            .reduce(f64::min)
    };
    let committed = cpu_ratio(
        row_of(committing, COMMIT, &Committing::Peer.to_string()),
        row_of(committing, COMMIT, &Committing::Harkara.to_string()),
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
