//! What telemetry costs: the ingress and a worker with a collector and without one, side by side.

use std::fmt;

use anyhow::Result;
use harkara_load::Mix;

use super::Found;
use super::ingress::{Run, ingress_run};
use super::worker::{USUAL, drain_run};
use crate::arguments::{Part, ReferenceServer};
use crate::bench::Bench;
use crate::generator::Model;
use crate::product::Telemetry;
use crate::reference;
use crate::report::goal::{Goal, at_least};
use crate::rounds::{self, Row, Stage, compare, interleaved, row_of};
use crate::servers::redis::AppendFsync;

const INGRESS: &str = "ingress and its telemetry, closed model, 128 connections";
const WORKER: &str = "worker and its telemetry, a backlog drained into all tables";

/// What is left of the rate with telemetry on, at the least.
const LEFT_MIN: f64 = 0.90;

/// How much is exported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exported {
    Nothing,
    /// Traces as they are kept unless settings say otherwise, and metrics.
    Usual,
    /// Every trace, and metrics.
    EveryTrace,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "telemetry off",
            Self::Usual => "telemetry on",
            Self::EveryTrace => "telemetry on, every trace kept",
        })
    }
}

const VARIANTS: [Exported; 3] = [Exported::Nothing, Exported::Usual, Exported::EveryTrace];

pub(crate) async fn measure(bench: &Bench, found: &mut Found) -> Result<()> {
    let extent = &bench.extent;
    let (collector, address) = reference::start(ReferenceServer::Collector, &bench.secret).await?;
    let telemetry = |exported| match exported {
        Exported::Nothing => None,
        Exported::Usual => Some(Telemetry {
            collector: address,
            keeps_all: false,
        }),
        Exported::EveryTrace => Some(Telemetry {
            collector: address,
            keeps_all: true,
        }),
    };
    for title in [INGRESS, WORKER] {
        let stage = Stage {
            part: Part::Telemetry,
            title,
            rounds: extent.rounds_ingress,
        };
        let audits = &mut found.audits;
        let mut rows = interleaved(
            extent,
            &stage,
            &VARIANTS,
            &mut found.variants,
            async |exported| {
                let telemetry = telemetry(exported);
                if title == WORKER {
                    return drain_run(bench, USUAL, telemetry, audits).await;
                }
                let run = Run {
                    name: &exported.to_string(),
                    policy: AppendFsync::Everysec,
                    mix: Mix::Realistic,
                    model: Model::Closed,
                    duration: extent.closed,
                    telemetry,
                };
                ingress_run(bench, run, audits).await
            },
        )
        .await?;
        compare(&mut rows, &Exported::Nothing.to_string());
        found.goals.push(goal(&rows, title));
        found.rows.extend(rows);
    }
    collector.stop().await
}

fn goal(rows: &[Row], title: &str) -> Goal {
    let row = |exported: Exported| row_of(rows, title, &exported.to_string());
    let left = row(Exported::Usual)
        .zip(row(Exported::Nothing))
        .and_then(|(on, off)| rounds::ratio(on, off, |run| Some(run.rate_per_s)));
    let (who, _) = title.split_once(' ').unwrap_or((title, ""));
    at_least(
        LEFT_MIN,
        &format!("{who}: rate with telemetry on / off"),
        left,
    )
}
