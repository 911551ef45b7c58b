//! One fault after another, with one seed, and the table of the results.

use anyhow::Result;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use harkara_testkit::{Binaries, Folder};
use serde::Serialize;

use crate::complain;
use crate::environment::Environment;
use crate::faults::Fault;
use crate::finding::Finding;
use crate::scale::Scale;

/// The table's columns, and their alignment.
const COLUMNS: [(&str, CellAlignment); 10] = [
    ("fault", CellAlignment::Left),
    ("what happens", CellAlignment::Left),
    ("accepted", CellAlignment::Right),
    ("by the inbox", CellAlignment::Right),
    ("answered otherwise", CellAlignment::Left),
    ("lost", CellAlignment::Right),
    ("doubled", CellAlignment::Right),
    ("longest refusal", CellAlignment::Right),
    ("slowest answer", CellAlignment::Right),
    ("recovered after", CellAlignment::Right),
];

/// The results of a round.
#[derive(Serialize)]
pub(crate) struct Round {
    seed: u64,
    rows: Vec<Row>,
    /// Faults that could not be run, and why.
    failed: Vec<String>,
}

/// One fault, run once.
#[derive(Serialize)]
struct Row {
    fault: &'static str,
    what: &'static str,
    finding: Finding,
    /// Broken promises.
    broken: Vec<String>,
}

impl Round {
    /// Whether every fault was run and every promise kept.
    pub(crate) fn kept_promises(&self) -> bool {
        self.failed.is_empty() && self.rows.iter().all(|row| row.broken.is_empty())
    }

    /// All rows in Markdown.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_style(ASCII_MARKDOWN)
            .set_header(COLUMNS.map(|(name, _)| name))
            .add_rows(self.rows.iter().map(Row::cells));
        for (column, (_, alignment)) in table.column_iter_mut().zip(COLUMNS) {
            column.set_cell_alignment(alignment);
        }
        table
    }
}

impl Row {
    fn cells(&self) -> [String; 10] {
        let verdict = &self.finding.verdict;
        let recovered = self.finding.recovered_after;
        [
            self.fault.to_owned(),
            self.what.to_owned(),
            verdict.accepted.to_string(),
            verdict.audit.with_durability("stored").to_string(),
            self.other_answers(),
            verdict.audit.lost.to_string(),
            verdict.audit.doubled.to_string(),
            seconds(verdict.longest_refusal_ms / 1_000.0),
            seconds(verdict.latency_ms.max.max(verdict.slowest_refusal_ms) / 1_000.0),
            recovered.map_or("–".to_owned(), |after| seconds(after.as_secs_f64())),
        ]
    }

    /// Answers other than 200 to correctly signed deliveries.
    fn other_answers(&self) -> String {
        let verdict = &self.finding.verdict;
        let refused = verdict.refused.iter();
        let mut others: Vec<String> = refused
            .filter(|(status, _)| *status != "401")
            .map(|(status, n)| format!("{n} × {status}"))
            .collect();
        if verdict.unanswered > 0 {
            others.push(format!("{} × none", verdict.unanswered));
        }
        if others.is_empty() {
            others.push("none".to_owned());
        }
        others.join(", ")
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

/// Runs the faults; one that cannot be run does not keep the next from running.
pub(crate) async fn run(
    binaries: &Binaries,
    scale: Scale,
    seed: u64,
    faults: &[&'static Fault],
) -> Round {
    let mut round = Round {
        seed,
        rows: Vec::new(),
        failed: Vec::new(),
    };
    for fault in faults {
        let name = fault.name;
        complain(format_args!("{name}: {}", fault.description));
        let folder = Folder::new();
        let broken = match run_one(binaries, scale, seed, fault, &folder).await {
            Ok(row) => {
                let broken = row.broken.clone();
                round.rows.push(row);
                broken
            }
            Err(error) => {
                round.failed.push(format!("{name}: {error:#}"));
                vec![format!("cannot be run: {error:#}")]
            }
        };
        if broken.is_empty() {
            complain(format_args!("{name}: as promised"));
            continue;
        }
        for problem in &broken {
            complain(format_args!("{name}: BROKEN: {problem}"));
        }
        complain(format_args!("the logs are in {}", folder.keep().display()));
    }
    round
}

async fn run_one(
    binaries: &Binaries,
    scale: Scale,
    seed: u64,
    fault: &Fault,
    folder: &Folder,
) -> Result<Row> {
    let layout = fault.layout;
    let mut environment = Environment::start(folder.path(), binaries, scale, seed, layout).await?;
    let finding = (fault.run)(&mut environment).await?;
    Ok(Row {
        fault: fault.name,
        what: fault.description,
        broken: finding.broken(fault.answers),
        finding,
    })
}
