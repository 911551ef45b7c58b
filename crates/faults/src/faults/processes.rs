//! Processes of the product, and all processes at random.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use harkara_testkit::{Link, PostgresStop};
use rand::RngExt;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::environment::{DELIVERIES, DRAIN, Environment, RECLAIMED};
use crate::finding::Finding;

const INGRESS_KILLS: u32 = 5;

const WORKERS_MAX: usize = 6;

/// The lifetime of a worker.
const LIFETIME_MS: Range<u64> = 200..900;

/// How long the workers claim entries that they cannot commit, so that the paused one has some.
const CLAIM_TIME: Duration = Duration::from_millis(500);

/// From a start to the next random kill.
const CALM_MS: Range<u64> = 300..2_500;

/// From a random kill to the start.
const GONE_MS: Range<u64> = 0..2_000;

/// Time between two checks of the consumers.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// How long a consumer whose worker has stopped may still be listed.
const CONSUMER_LEFT_BOUND: Duration = Duration::from_secs(10);

/// The ingress is killed with requests in progress: every delivery that it answered is durable.
pub(super) async fn ingress_killed(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    for _ in 0..INGRESS_KILLS {
        environment.ingress.kill()?;
        environment.ingress.start()?;
        sleep(lasts / INGRESS_KILLS).await;
    }
    environment.ready().await?;
    let finding = environment.audit(load).await?;
    let unanswered = finding.verdict.unanswered;
    Ok(finding.require(unanswered > 0, "no request was in progress"))
}

/// Workers are killed at any instruction: their entries are reclaimed, and take effect once.
pub(super) async fn worker_killed(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        pause(environment, LIFETIME_MS).await;
        kill_a_worker(environment)?;
        environment.add_worker()?;
    }
    environment.ready().await?;
    let finding = environment.audit(load).await?;
    let reclaimed = environment.worker_counter(RECLAIMED).await?;
    Ok(finding.require(reclaimed > 0.0, "no entry was reclaimed"))
}

/// A worker with claims is paused until they expire: another reclaims its entries, and its own late commits change
/// nothing.
pub(super) async fn worker_paused(environment: &mut Environment) -> Result<Finding> {
    let lasts = 3 * environment.scale.claim_idle;
    let load = environment.load(lasts + CLAIM_TIME).await?;
    environment.postgres_links.workers.set(Link::BlackHoled);
    sleep(CLAIM_TIME).await;
    environment.workers[0].signal(Signal::STOP)?;
    environment.postgres_links.workers.set(Link::Open);
    sleep(lasts).await;
    let reclaimed = environment.workers[1].counter(RECLAIMED).await?;
    environment.workers[0].signal(Signal::CONT)?;
    let finding = environment.audit(load).await?;
    Ok(finding.require(reclaimed > 0.0, "no entry was reclaimed"))
}

/// Every process is replaced: the new one starts first, then the old one is stopped.
pub(super) async fn rolling_restart(environment: &mut Environment) -> Result<Finding> {
    let load = environment.load(environment.scale.fault + DRAIN).await?;
    let while_draining = environment.replace_ingress().await?;
    let since = environment.ingress.counter(DELIVERIES).await?;
    for _ in 0..environment.workers.len() {
        environment.add_worker()?;
        environment.ready().await?;
        environment.workers.remove(0).stop().await?;
    }
    let finding = environment.audit(load).await?;
    let finding = finding
        .require(
            while_draining > 0.0,
            "the old ingress took nothing while it drained",
        )
        .require(since > 0.0, "the new ingress took nothing");
    require_no_abandoned_consumer(environment, finding).await
}

/// Workers are scaled from one to six and back.
pub(super) async fn scaling(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    scale_down(environment).await?;
    let load = environment.load(lasts).await?;
    while environment.workers.len() < WORKERS_MAX {
        environment.add_worker()?;
    }
    environment.ready().await?;
    sleep(lasts / 2).await;
    let n_consumers = environment.consumers().await?.len();
    scale_down(environment).await?;
    let finding = environment.audit(load).await?.require(
        n_consumers >= WORKERS_MAX,
        format!("only {n_consumers} of {WORKERS_MAX} workers took part"),
    );
    require_no_abandoned_consumer(environment, finding).await
}

/// Any process is killed at any time, and started again a little later.
pub(super) async fn random_kills(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.kills;
    let load = environment.load(lasts).await?;
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        kill_and_start_any(environment).await?;
        pause(environment, CALM_MS).await;
    }
    environment.ready().await?;
    environment.analyze().await?;
    environment.audit(load).await
}

async fn kill_and_start_any(environment: &mut Environment) -> Result<()> {
    match environment.random.random_range(0..4) {
        0 => {
            environment.ingress.kill()?;
            pause(environment, GONE_MS).await;
            environment.ingress.start()?;
        }
        1 => {
            kill_a_worker(environment)?;
            pause(environment, GONE_MS).await;
            environment.add_worker()?;
        }
        2 => {
            environment.redis.kill();
            pause(environment, GONE_MS).await;
            environment.redis.resume().await;
        }
        _ => {
            environment.postgres.stop(PostgresStop::Kill).await;
            pause(environment, GONE_MS).await;
            environment.postgres.resume().await;
        }
    }
    Ok(())
}

fn kill_a_worker(environment: &mut Environment) -> Result<()> {
    let victim = environment.random.random_range(..environment.workers.len());
    environment.workers.remove(victim).kill()
}

async fn pause(environment: &mut Environment, range_ms: Range<u64>) {
    let ms = environment.random.random_range(range_ms);
    sleep(Duration::from_millis(ms)).await;
}

async fn scale_down(environment: &mut Environment) -> Result<()> {
    while environment.workers.len() > 1 {
        environment.workers.remove(0).stop().await?;
    }
    Ok(())
}

/// Requires that no more consumers remain than workers run.
async fn require_no_abandoned_consumer(
    environment: &Environment,
    finding: Finding,
) -> Result<Finding> {
    let deadline = Instant::now() + CONSUMER_LEFT_BOUND;
    let n_workers = environment.workers.len();
    let mut consumers = environment.consumers().await?;
    while consumers.len() > n_workers && Instant::now() < deadline {
        sleep(CHECK_EVERY).await;
        consumers = environment.consumers().await?;
    }
    let problem = format!("consumers are left behind: {consumers:?}");
    Ok(finding.require(consumers.len() <= n_workers, problem))
}
