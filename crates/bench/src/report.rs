//! The report: for the terminal and as JSON.

pub(crate) mod goal;
mod machine;
pub(crate) mod table;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::bench::Bench;
use crate::results::Results;
use crate::scale::Scale;

use machine::Machine;

/// The results, and what they were measured with.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The arguments of the benchmark.
    command: Vec<String>,
    machine: Machine,
    #[serde(rename = "extent")]
    scale: Scale,
    #[serde(flatten)]
    pub(crate) results: Results,
}

impl Report {
    pub(crate) async fn new(bench: &Bench, results: Results) -> Result<Self> {
        Ok(Self {
            command: std::env::args().skip(1).collect(),
            machine: Machine::inspect(bench).await?,
            scale: bench.scale.clone(),
            results,
        })
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Prints the tables, the goals and the audits.
    pub(crate) fn print(&self) -> Result<()> {
        let results = &self.results;
        let mut output = std::io::stdout().lock();
        write!(output, "{}", self.machine.lines())?;
        for stage in results.rows.chunk_by(|a, b| a.stage == b.stage) {
            write!(output, "\n{}", table::stage(stage))?;
        }
        write!(
            output,
            "\n{}\n{}",
            table::goals(&results.goals),
            table::audits(&results.audits)
        )?;
        for note in &results.notes {
            writeln!(output, "Note: {note}.")?;
        }
        if self.scale.quick {
            writeln!(
                output,
                "Note: this was the quick form; its figures mean nothing."
            )?;
        }
        Ok(output.flush()?)
    }

    /// Whether no audit found a fault. There is none if nothing was to be stored.
    pub(crate) fn audits_are_clean(&self) -> bool {
        let mut audits = self.results.audits.iter();
        audits.all(|audit| audit.faults.is_empty())
    }
}
