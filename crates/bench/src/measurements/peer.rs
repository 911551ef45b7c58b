//! What people would use instead, in the same rounds as the product.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use harkara_load::Mix;
use harkara_operations::verification::Scope;

use super::ingress::{RECEIVING, ingress_run};
use super::receiving::receive;
use super::worker::{COMMITTING, PAYMENTS, drain_run};
use crate::arguments::Part;
use crate::audit::Auditor;
use crate::bench::Bench;
use crate::drain::drain_rate;
use crate::figures::{Figures, Role};
use crate::generator::{self, Model};
use crate::peer::{Framework, Peer, PeerIngress};
use crate::redis_server::AppendFsync;
use crate::report::goal::{Goal, at_least};
use crate::results::{Results, Run, Stage};
use crate::usage::Usage;

const ACCEPT: &str = "accepting beside the peer, closed model, 128 connections, everysec, payments";
const COMMIT: &str = "committing beside the peer, payments, into the ledger and payments; Harkara also writes identities \
     and audit rows";

/// How long the filling of the peer's queue may take.
const FILL_BOUND: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, PartialEq, Eq, strum::Display)]
enum Accepting {
    #[strum(to_string = "Harkara ingress")]
    Harkara,
    #[strum(to_string = "{0}")]
    Peer(PeerIngress),
}

#[derive(Clone, Copy, PartialEq, Eq, strum::Display)]
enum Committing {
    #[strum(to_string = "Harkara worker")]
    Harkara,
    #[strum(to_string = "BullMQ worker, concurrency 10")]
    Peer,
}

const fn peer(framework: Framework, clustered: bool) -> Accepting {
    Accepting::Peer(PeerIngress {
        framework,
        clustered,
    })
}

const ACCEPTING: [Accepting; 5] = [
    Accepting::Harkara,
    peer(Framework::Express, false),
    peer(Framework::Express, true),
    peer(Framework::Fastify, false),
    peer(Framework::Fastify, true),
];

pub(crate) async fn measure(bench: &Bench, must_be: bool, results: &mut Results) -> Result<()> {
    let Some(peer) = &bench.peer else {
        if must_be {
            bail!("the peer cannot run; `cargo dev bench` printed the reason above");
        }
        let note = "the peer was left out; `cargo dev bench` printed the reason above";
        results.notes.push(note.to_owned());
        return Ok(());
    };
    let scale = &bench.scale;
    let stage = Stage(Part::Peer, ACCEPT, scale.rounds_others);
    let run = async |variant: Accepting| match variant {
        Accepting::Harkara => {
            let (name, traffic) = (variant.to_string(), bench.closed(Mix::Payments));
            ingress_run(bench, &name, AppendFsync::Everysec, traffic, None).await
        }
        Accepting::Peer(ingress) => Ok((peer_accepting(bench, peer, ingress).await?, None)),
    };
    results.measure(scale, stage, &ACCEPTING, run).await?;
    results.compare(ACCEPT, Accepting::Harkara);
    let stage = Stage(Part::Peer, COMMIT, scale.rounds_others);
    let variants = [Committing::Harkara, Committing::Peer];
    let run = async |variant| match variant {
        Committing::Harkara => {
            let mut run = drain_run(bench, PAYMENTS, None).await?;
            // The peer has no batches.
            run.0.latency = None;
            Ok(run)
        }
        Committing::Peer => peer_committing(bench, peer).await,
    };
    results.measure(scale, stage, &variants, run).await?;
    results.compare(COMMIT, Committing::Harkara);
    results.goals.extend(goals(results));
    Ok(())
}

async fn peer_accepting(bench: &Bench, peer: &Peer, ingress: PeerIngress) -> Result<Figures> {
    let redis = &bench.redis;
    bench.fresh_redis(AppendFsync::Everysec).await?;
    let (program, address) = peer.ingress(ingress, redis).await?;
    let processes = [(Role::Ingress, program.pid), bench.redis_process()];
    let received = receive(bench, address, &processes, bench.closed(Mix::Payments)).await?;
    let (accepted, jobs) = (received.n_accepted(), peer.n_jobs(redis).await?);
    ensure!(
        jobs == accepted,
        "{accepted} deliveries were accepted, but there are {jobs} jobs"
    );
    program.stop().await?;
    let mut figures = received.figures;
    figures.redis_bytes_per_event = Some(redis.bytes_per_event(jobs).await?);
    redis.flush().await?;
    Ok(figures)
}

/// Jobs added by the peer's own ingress, then done by its worker.
async fn peer_committing(bench: &Bench, peer: &Peer) -> Result<Run> {
    let redis = &bench.redis;
    let n = bench.scale.peer_jobs;
    let corpus = bench.corpus(Mix::Payments, n);
    let database = bench.fresh(AppendFsync::Everysec).await?;
    let fastify = PeerIngress {
        framework: Framework::Fastify,
        clustered: false,
    };
    let (ingress, address) = peer.ingress(fastify, redis).await?;
    let sent = generator::send(address, &corpus, 0..n, Model::Closed, FILL_BOUND).await?;
    ingress.stop().await?;
    let jobs = peer.n_jobs(redis).await?;
    ensure!(
        jobs == n && sent.accepted.count_ones(..) == n,
        "{n} deliveries were sent, but there are {jobs} jobs"
    );
    let stores = [bench.redis_process(), bench.postgres_process()];
    let mut usage = Usage::begin(&bench.postgres, &stores).await?;
    // Node.js takes its time to start, which so few jobs should not bear: it counts once it is ready.
    let start = async {
        let worker = peer.worker(redis, &database.url).await?;
        usage.add_from_now(Role::Worker, worker.pid)?;
        Ok(worker)
    };
    let draining = drain_rate(n, async || peer.n_jobs(redis).await);
    let (worker, rate_per_s) = tokio::try_join!(start, draining)?;
    let figures = usage.end(n, rate_per_s).await?;
    worker.stop().await?;
    // It writes neither identities nor audit rows, and no precedence.
    let auditor = Auditor::new(Committing::Peer, &database, Scope::Ledger)?;
    let auditor = auditor.accepted(&corpus, 0..n).await?;
    Ok((figures, Some(auditor.finish(redis).await?)))
}

fn goals(results: &Results) -> Vec<Goal> {
    // Per CPU-second is one by CPU time per event, and so is their ratio.
    let accepted = |framework| {
        let ratio = |clustered| {
            let variants = [peer(framework, clustered), Accepting::Harkara];
            results.ratio(ACCEPT, variants, |run| run.cpu_us(&RECEIVING))
        };
        // The cheaper of its two forms counts.
        [false, true].into_iter().filter_map(ratio).reduce(f64::min)
    };
    let variants = [Committing::Peer, Committing::Harkara];
    let committed = results.ratio(COMMIT, variants, |run| run.cpu_us(&COMMITTING));
    let frameworks = [(Framework::Express, 12.0), (Framework::Fastify, 7.0)];
    let mut goals = Vec::from(frameworks.map(|(framework, least)| {
        let what = "webhooks accepted per CPU-second (ingress + Redis)";
        let what = format!("{what} / {framework:?} + BullMQ");
        at_least(least, &what, accepted(framework))
    }));
    goals.push(at_least(
        10.0,
        "events committed per CPU-second (worker + Redis + PostgreSQL) / BullMQ worker",
        committed,
    ));
    goals
}
