//! The cost of telemetry: the ingress and a worker with and without a collector.

use anyhow::Result;
use harkara_load::Mix;

use super::ingress::ingress_run;
use super::worker::{USUAL, drain_run};
use crate::arguments::{Part, ReferenceServer};
use crate::bench::Bench;
use crate::product::Telemetry;
use crate::redis_server::AppendFsync;
use crate::reference;
use crate::report::goal::at_least;
use crate::results::{Results, Stage};

const INGRESS: &str = "ingress and its telemetry, closed model, 128 connections";
const WORKER: &str = "worker and its telemetry, a backlog drained into all tables";

/// The least share of the rate that is left with telemetry on.
const LEFT_MIN: f64 = 0.90;

/// How much is exported.
#[derive(Clone, Copy, PartialEq, Eq, strum::Display)]
enum Exported {
    #[strum(to_string = "telemetry off")]
    Nothing,
    /// The traces that are kept by default, and metrics.
    #[strum(to_string = "telemetry on")]
    Usual,
    /// Every trace, and metrics.
    #[strum(to_string = "telemetry on, every trace kept")]
    EveryTrace,
}

const VARIANTS: [Exported; 3] = [Exported::Nothing, Exported::Usual, Exported::EveryTrace];

pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let (program, collector) = reference::start(ReferenceServer::Collector).await?;
    for (process, title) in [("ingress", INGRESS), ("worker", WORKER)] {
        let stage = Stage(Part::Telemetry, title, bench.scale.rounds_ingress);
        let run = async |exported: Exported| {
            let telemetry = (exported != Exported::Nothing).then_some(Telemetry {
                collector,
                keeps_all: exported == Exported::EveryTrace,
            });
            if title == WORKER {
                return drain_run(bench, USUAL, telemetry).await;
            }
            let (name, traffic) = (exported.to_string(), bench.closed(Mix::Realistic));
            ingress_run(bench, &name, AppendFsync::Everysec, traffic, telemetry).await
        };
        results.measure(&bench.scale, stage, &VARIANTS, run).await?;
        results.compare(title, Exported::Nothing);
        let left = results.rate_ratio(title, [Exported::Usual, Exported::Nothing]);
        let what = format!("{process}: rate with telemetry on / off");
        results.goals.push(at_least(LEFT_MIN, &what, left));
    }
    program.stop().await
}
