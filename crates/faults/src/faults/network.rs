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

/// Deliveries go to the inbox, and workers continue the streams where they left off.
pub(super) async fn redis(environment: &mut Environment, link: Link) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let mut finding = environment
        .under_load(lasts, async |environment| {
            environment.redis_links.set(link);
            sleep(lasts).await;
            environment.redis_links.set(Link::Open);
            Ok(())
        })
        .await?;
    finding.require_levels(&["fsynced", "stored"]);
    Ok(finding)
}

/// Deliveries accumulate in the streams, and workers keep their claims.
pub(super) async fn postgres(environment: &mut Environment, link: Link) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let mut backlog = 0;
    let mut finding = environment
        .under_load(lasts, async |environment| {
            environment.postgres_links.set(link);
            sleep(lasts).await;
            backlog = environment.backlog().await?;
            environment.postgres_links.set(Link::Open);
            Ok(())
        })
        .await?;
    finding.require(backlog > 0, "no delivery had to wait for PostgreSQL");
    Ok(finding)
}

/// Neither store is reachable: the answer is 503 in time, never a 200 without a durable delivery, and retries are
/// accepted.
pub(super) async fn both_stores(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let mut finding = environment
        .under_load(lasts, async |environment| {
            for link in [Link::BlackHoled, Link::Open] {
                environment.redis_links.set(link);
                environment.postgres_links.set(link);
                if link == Link::BlackHoled {
                    sleep(lasts).await;
                }
            }
            Ok(())
        })
        .await?;
    let has_503 = finding.verdict().refused.contains_key("503");
    finding.require(has_503, "no delivery was answered 503");
    Ok(finding)
}
