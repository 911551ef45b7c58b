//! Redis itself.

use std::time::Duration;

use anyhow::{Context, Result};
use harkara_testkit::{Link, wait_until};
use tokio::time::sleep;

use crate::environment::{Environment, REPLICAS};
use crate::finding::Finding;

/// How long the sentinels may take to agree and to promote a replica.
const PROMOTED_BOUND: Duration = Duration::from_secs(20);

/// How long they may take to make the former primary a replica: they check every ten seconds, and act on what has
/// not changed for eight.
const FOLLOWS_BOUND: Duration = Duration::from_secs(40);

/// How long the load lasts over a failover: longer than it usually takes.
const FAILOVER_LASTS: Duration = Duration::from_secs(35);

/// How long the ingress may take to use the primary again, which it checks every two seconds.
const USED_BOUND: Duration = Duration::from_secs(15);

/// Time between two checks whether it does.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// How long the backlog may take to be processed while no delivery arrives.
const DRAINED_BOUND: Duration = Duration::from_secs(20);

/// How long a backlog accumulates that will be lost.
const BACKLOG_TIME: Duration = Duration::from_millis(500);

/// How long the audit waits for deliveries that are lost.
const LOSS_SETTLE: Duration = Duration::from_secs(10);

/// The ingress's counter of answers with the replicated level.
const REPLICATED: &str = "harkara_ingress_durable_total{level=\"replicated\"}";

/// Redis comes back with its append-only file: deliveries go to the inbox until then.
pub(super) async fn killed(environment: &mut Environment) -> Result<Finding> {
    let outage = environment.scale.outage;
    let load = environment.load(outage).await?;
    environment.redis.kill();
    sleep(outage).await;
    environment.redis.resume().await;
    let finding = environment.audit(load).await?;
    Ok(finding.require_levels(&["stored", "fsynced"]))
}

/// The product asks Sentinel where the primary is and connects to it by itself. Deliveries go to the inbox until
/// enough replicas confirm them again; the killed server, started again, is one of these.
pub(super) async fn fails_over(environment: &mut Environment) -> Result<Finding> {
    let load = environment.load(FAILOVER_LASTS).await?;
    let sentinels = environment.sentinels.as_ref();
    let sentinels = sentinels.context("there are no sentinels")?;
    let (redis, ingress) = (&mut environment.redis, &environment.ingress);
    redis.kill();
    sentinels.failed_over(redis, PROMOTED_BOUND).await;
    sleep(environment.scale.fault).await;
    let before = ingress.counter(REPLICATED).await?;
    redis.resume().await;
    wait_until("the former primary follows", FOLLOWS_BOUND, async || {
        sentinels.n_following().await == REPLICAS
    })
    .await;
    wait_until("the new primary takes deliveries", USED_BOUND, async || {
        sleep(CHECK_EVERY).await;
        matches!(ingress.counter(REPLICATED).await, Ok(now) if now > before)
    })
    .await;
    let finding = environment.audit(load).await?;
    Ok(finding.require_levels(&["stored", "replicated"]))
}

/// Redis comes back empty: streams and groups are created again, and everything later is processed. Data that no
/// store has cannot be restored, so the backlog is empty when it happens.
pub(super) async fn loses_data(environment: &mut Environment) -> Result<Finding> {
    let load = environment.load(environment.scale.fault).await?;
    environment.front.set(Link::BlackHoled);
    let drained = &*environment;
    wait_until("the backlog is processed", DRAINED_BOUND, async || {
        matches!(drained.backlog().await, Ok(0))
    })
    .await;
    restart_empty(environment).await;
    environment.front.set(Link::Open);
    let finding = environment.audit(load).await?;
    let counter = "harkara_worker_groups_recreated_total";
    let recreated = environment.worker_counter(counter).await?;
    Ok(finding.require(recreated > 0.0, "no group was created again"))
}

/// Redis comes back empty before any worker claimed its backlog, which only Redis had. That loss is not promised
/// away; the fault shows that the audit finds one.
pub(super) async fn loses_backlog(environment: &mut Environment) -> Result<Finding> {
    environment.scale.settle = LOSS_SETTLE;
    let load = environment.load(environment.scale.fault).await?;
    let n_workers = environment.workers.len();
    for mut worker in environment.workers.drain(..) {
        worker.kill()?;
    }
    sleep(BACKLOG_TIME).await;
    restart_empty(environment).await;
    for _ in 0..n_workers {
        environment.add_worker()?;
    }
    environment.ready().await?;
    environment.audit(load).await
}

async fn restart_empty(environment: &mut Environment) {
    environment.redis.kill();
    environment.redis.lose_data();
    environment.redis.resume().await;
}
