//! What is told at the end: to the terminal and as JSON.

/// A figure that is to be reached.
pub(crate) mod goal;
mod machine;
/// Tables for a terminal.
pub(crate) mod table;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::audit::Audit;
use crate::bench::Bench;
use crate::extent::Extent;
use crate::parts::Found;
use crate::rounds::Row;

use goal::Goal;
use machine::Machine;

/// Everything that was found.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The words that the benchmark was called with.
    command: Vec<String>,
    machine: Machine,
    extent: Extent,
    pub(crate) rows: Vec<Row>,
    goals: Vec<Goal>,
    audits: Vec<Audit>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) async fn new(bench: &Bench, found: Found) -> Result<Self> {
        Ok(Self {
            command: std::env::args().skip(1).collect(),
            machine: Machine::look(bench).await?,
            extent: bench.extent.clone(),
            rows: found.rows,
            goals: found.goals,
            audits: found.audits,
            notes: found.notes,
        })
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Prints the tables, the goals and the audits.
    pub(crate) fn print(&self) -> Result<()> {
        let mut text = String::new();
        self.machine.tell(&mut text)?;
        table::rows(&self.rows, &mut text)?;
        table::goals(&self.goals, &mut text)?;
        table::audits(&self.audits, &mut text)?;
        for note in &self.notes {
            writeln!(text, "Note: {note}.")?;
        }
        if self.extent.quick {
            writeln!(
                text,
                "Note: this was the quick form; its figures mean nothing."
            )?;
        }
        let mut output = std::io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()?;
        Ok(())
    }

    /// Whether no audit found a fault. There is none where nothing was to be stored.
    pub(crate) fn audits_are_clean(&self) -> bool {
        self.audits.iter().all(|audit| audit.faults.is_empty())
    }
}
