//! The table of what was found.

use std::fmt;

use serde::Serialize;

use crate::faults::Fault;
use crate::finding::Finding;

/// One fault, run once.
#[derive(Serialize)]
pub(crate) struct Row {
    fault: &'static str,
    what: &'static str,
    finding: Finding,
    /// What is not as promised.
    pub(crate) broken: Vec<String>,
}

impl Row {
    pub(crate) fn new(fault: &Fault, finding: Finding) -> Self {
        Self {
            fault: fault.name,
            what: fault.what,
            broken: finding.broken(fault.answers),
            finding,
        }
    }
}

/// All rows of a round as a table in Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | what happens | accepted | by the inbox | answered otherwise | lost | doubled | longest refusal | slowest answer | recovered after |"
        )?;
        writeln!(f, "|---|---|--:|--:|---|--:|--:|--:|--:|--:|")?;
        for Row {
            fault,
            what,
            finding,
            ..
        } in self.0
        {
            let verdict = finding.verdict();
            let recovered = finding
                .recovered_after()
                .map_or("–".to_owned(), |after| seconds(after.as_secs_f64()));
            let inbox = verdict.audit.durability.get("stored").copied().unwrap_or(0);
            writeln!(
                f,
                "| {fault} | {what} | {} | {inbox} | {} | {} | {} | {} | {} | {} |",
                verdict.accepted,
                others(finding),
                verdict.audit.lost,
                verdict.audit.doubled,
                seconds(verdict.longest_refusal_ms / 1_000.0),
                seconds(verdict.latency_ms.max.max(verdict.slowest_refusal_ms) / 1_000.0),
                recovered,
            )?;
        }
        Ok(())
    }
}

/// Answers other than 200 to rightly signed deliveries.
fn others(finding: &Finding) -> String {
    let verdict = finding.verdict();
    let refused = verdict
        .refused
        .iter()
        .filter(|(status, _)| *status != "401");
    let mut others: Vec<String> = refused
        .map(|(status, n)| format!("{n} × {status}"))
        .collect();
    if verdict.unanswered > 0 {
        others.push(format!("{} × none", verdict.unanswered));
    }
    if others.is_empty() {
        "none".to_owned()
    } else {
        others.join(", ")
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}
