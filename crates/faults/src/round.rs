//! One fault after another, with one seed.

use anyhow::Result;
use harkara_testkit::{Binaries, Folder};
use serde::Serialize;

use crate::complain;
use crate::extent::Extent;
use crate::faults::Fault;
use crate::scene::Scene;
use crate::table::Row;

/// What a round found.
#[derive(Serialize)]
pub(crate) struct Round {
    seed: u64,
    pub(crate) rows: Vec<Row>,
    /// Faults that could not be run, and why.
    failed: Vec<String>,
}

impl Round {
    /// Whether every fault was run and nothing was otherwise than promised.
    pub(crate) fn as_promised(&self) -> bool {
        self.failed.is_empty() && self.rows.iter().all(|row| row.broken.is_empty())
    }
}

/// Runs the faults; one that fails does not keep the next from running.
pub(crate) async fn run(
    binaries: &Binaries,
    extent: Extent,
    seed: u64,
    faults: &[&'static Fault],
) -> Round {
    let mut round = Round {
        seed,
        rows: Vec::new(),
        failed: Vec::new(),
    };
    for fault in faults {
        complain(format_args!("{}: {}", fault.name, fault.what));
        let folder = Folder::new();
        let broken = match run_one(binaries, extent, seed, fault, &folder).await {
            Ok(row) => {
                let broken = row.broken.clone();
                round.rows.push(row);
                broken
            }
            Err(error) => {
                let told = format!("it cannot be told: {error:#}");
                round.failed.push(format!("{}: {told}", fault.name));
                vec![told]
            }
        };
        if broken.is_empty() {
            complain(format_args!("{}: as promised", fault.name));
            continue;
        }
        for broken in &broken {
            complain(format_args!("{}: BROKEN: {broken}", fault.name));
        }
        let logs = folder.keep();
        complain(format_args!("the logs are in {}", logs.display()));
    }
    round
}

async fn run_one(
    binaries: &Binaries,
    extent: Extent,
    seed: u64,
    fault: &'static Fault,
    folder: &Folder,
) -> Result<Row> {
    let mut scene = Scene::stand(folder, binaries, extent, seed, (fault.layout)()).await?;
    let finding = (fault.run)(&mut scene).await?;
    Ok(Row::new(fault, finding))
}
