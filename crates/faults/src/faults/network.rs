//! The network between the product and the stores.

use std::time::Duration;

use anyhow::Result;
use harkara_testkit::Link;
use tokio::time::sleep;

use crate::environment::Environment;
use crate::finding::Finding;

/// In both directions together it exceeds the time of an append (`ingress.append_timeout_ms`, 1.4 s by default), so
/// that deliveries go to the inbox for certain.
pub(super) const SLOW_REDIS: Link = Link::Slow(Duration::from_millis(800));

pub(super) const SLOW_POSTGRES: Link = Link::Slow(Duration::from_millis(300));

/// Deliveries go to the inbox, and workers continue the streams where they left off.
pub(super) async fn redis(environment: &mut Environment, link: Link) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    environment.redis_links.set(link);
    sleep(lasts).await;
    environment.redis_links.set(Link::Open);
    let finding = environment.audit(load).await?;
    Ok(finding.require_levels(&["fsynced", "stored"]))
}

/// Deliveries accumulate in the streams, and workers keep their claims.
pub(super) async fn postgres(environment: &mut Environment, link: Link) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    environment.postgres_links.set(link);
    sleep(lasts).await;
    let backlog = environment.backlog().await?;
    environment.postgres_links.set(Link::Open);
    let finding = environment.audit(load).await?;
    Ok(finding.require_backlog(backlog))
}

/// Neither store is reachable: the answer is 503 in time, never a 200 without a durable delivery, and retries are
/// accepted.
pub(super) async fn both_stores(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    environment.redis_links.set(Link::BlackHoled);
    environment.postgres_links.set(Link::BlackHoled);
    sleep(lasts).await;
    environment.redis_links.set(Link::Open);
    environment.postgres_links.set(Link::Open);
    let finding = environment.audit(load).await?;
    let has_503 = finding.verdict.refused.contains_key("503");
    Ok(finding.require(has_503, "no delivery was answered 503"))
}
