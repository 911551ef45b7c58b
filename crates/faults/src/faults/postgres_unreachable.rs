//! The network between the product and PostgreSQL fails in three ways: deliveries gather in the streams
//! meanwhile, and workers keep what they hold.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::Fault;
use crate::finding::{Answers, Finding};
use crate::scene::{Layout, Scene};
use harkara_testkit::Link;

pub(super) const CUT: Fault = Fault {
    name: "postgres-cut-off",
    what: "network to PostgreSQL cut",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene, Link::Cut)),
};

pub(super) const BLACK_HOLED: Fault = Fault {
    name: "postgres-black-holed",
    what: "network to PostgreSQL silent, as if packets were dropped",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene, Link::BlackHoled)),
};

pub(super) const SLOW: Fault = Fault {
    name: "postgres-slow",
    what: "network to PostgreSQL slow: 300 ms in each direction",
    answers: Answers::Accepted,
    layout: Layout::default,
    run: |scene| Box::pin(run(scene, Link::Slow(Duration::from_millis(300)))),
};

async fn run(scene: &mut Scene, link: Link) -> Result<Finding> {
    let lasts = scene.extent.fault;
    let mut backlog = 0;
    let mut finding = scene
        .under_load(lasts, async |scene| {
            scene.postgres_links.set(link);
            sleep(lasts).await;
            backlog = scene.backlog().await?;
            scene.postgres_links.set(Link::Open);
            Ok(())
        })
        .await?;
    finding.must(backlog > 0, || {
        "nothing had to wait for PostgreSQL".to_owned()
    });
    Ok(finding)
}
