//! Neither store can be reached: the answer is 503 in time, never a 200 without a durable delivery, and
//! what is sent again later is accepted.

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};
use harkara_testkit::Link;

pub(super) const FAULT: Fault = Fault {
    name: "both-stores-black-holed",
    what: "network to Redis and to PostgreSQL silent at once",
    answers: Answers::AcceptedOr503,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene)),
};

async fn run(scene: &mut Scene) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            scene.redis_links.set(Link::BlackHoled);
            scene.postgres_links.set(Link::BlackHoled);
            sleep(lasts).await;
            scene.redis_links.set(Link::Open);
            scene.postgres_links.set(Link::Open);
            Ok(())
        })
        .await?;
    let n_503 = finding
        .verdict()
        .refused
        .get("503")
        .copied()
        .unwrap_or_default();
    finding.must(n_503 > 0, || {
        "nobody was told that nothing takes deliveries".to_owned()
    });
    Ok(finding)
}
