//! Tables for a terminal.

use std::fmt::Write;

use super::goal::{Bound, Goal};
use crate::audit::Audit;
use crate::figures::{Figures, Latency, Role};
use crate::rounds::Row;

/// The columns of CPU time, in the order of the road.
const ROLES: [(Role, &str); 5] = [
    (Role::Generator, "gen"),
    (Role::Ingress, "ingr"),
    (Role::Redis, "redis"),
    (Role::Worker, "work"),
    (Role::Postgres, "pg"),
];

/// Rows of one stage after another.
pub(crate) fn rows(rows: &[Row], text: &mut String) {
    for stage in rows.chunk_by(|a, b| a.stage == b.stage) {
        let Some(first) = stage.first() else { continue };
        push(
            text,
            &format!("\n{} (median of {})\n", first.stage, first.runs.len()),
        );
        let mut lines = vec![header()];
        lines.extend(stage.iter().map(line));
        align(&lines, text);
    }
}

/// What is to be reached and what was.
pub(crate) fn goals(goals: &[Goal], text: &mut String) {
    let mut lines = vec![["goal", "figure", "bound", ""].map(str::to_owned).to_vec()];
    lines.extend(goals.iter().map(|goal| {
        let bound = match goal.bound {
            Bound::AtLeast(least) => format!("≥ {}", figure(least)),
            Bound::AtMost(most) => format!("≤ {}", figure(most)),
        };
        let reached = match (goal.reached, goal.aim) {
            (None, _) => "not measured",
            (Some(true), _) => "reached",
            (Some(false), true) => "not reached (an aim)",
            (Some(false), false) => "NOT REACHED",
        };
        vec![
            goal.what.clone(),
            optional(goal.figure),
            bound,
            reached.to_owned(),
        ]
    }));
    push(text, "\n");
    align(&lines, text);
}

/// One line where all is well; else what is not.
pub(crate) fn audits(audits: &[Audit], text: &mut String) {
    if audits.is_empty() {
        push(
            text,
            "\nNothing was to reach the ledger. Each run of the ingress had as many entries as it accepted.\n",
        );
        return;
    }
    let stored: usize = audits.iter().map(|audit| audit.stored).sum();
    let accepted: usize = audits.iter().map(|audit| audit.accepted).sum();
    push(
        text,
        &format!(
            "\nAudit of {} runs: {accepted} accepted, {stored} stored. ",
            audits.len()
        ),
    );
    let faults: Vec<_> = audits
        .iter()
        .flat_map(|audit| audit.faults.iter().map(|fault| (&audit.run, fault)))
        .collect();
    if faults.is_empty() {
        push(text, "Clean: accepted = stored, nothing twice.\n");
        return;
    }
    push(text, "FAILED:\n");
    for (run, fault) in faults {
        push(text, &format!("  {run}: {fault}\n"));
    }
}

fn header() -> Vec<String> {
    let mut cells: Vec<String> = [
        "", "rate/s", "from", "to", "of ref", "p50 ms", "p99", "p99.9", "max", "CPU µs:",
    ]
    .map(str::to_owned)
    .to_vec();
    cells.extend(ROLES.iter().map(|(_, name)| (*name).to_owned()));
    cells.extend(["sum−gen", "MiB ingr", "work", "B redis", "B WAL"].map(str::to_owned));
    cells
}

fn line(row: &Row) -> Vec<String> {
    let median: &Figures = &row.median;
    let latency = |of: fn(&Latency) -> Option<f64>| optional(median.latency.as_ref().and_then(of));
    let rate = |rate: f64| optional((rate > 0.0).then_some(rate));
    let mut cells = vec![
        row.variant.clone(),
        rate(median.rate_per_s),
        rate(row.rate_min),
        rate(row.rate_max),
        optional(row.of_reference),
        latency(|l| Some(l.p50_ms)),
        latency(|l| Some(l.p99_ms)),
        latency(|l| l.p999_ms),
        latency(|l| l.max_ms),
        String::new(),
    ];
    let cpu = &median.cpu_us_per_event;
    cells.extend(
        ROLES
            .iter()
            .map(|(role, _)| optional(cpu.get(role).copied())),
    );
    let sum: f64 = cpu
        .iter()
        .filter(|(role, _)| **role != Role::Generator)
        .map(|(_, us)| us)
        .sum();
    cells.push(figure(sum));
    cells.push(optional(median.resident_mib.get(&Role::Ingress).copied()));
    cells.push(optional(median.resident_mib.get(&Role::Worker).copied()));
    cells.push(optional(median.redis_bytes_per_event));
    cells.push(optional(median.wal_bytes_per_event));
    cells
}

fn optional(value: Option<f64>) -> String {
    value.map(figure).unwrap_or_default()
}

/// Three digits that count, thousands apart.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        return thousands(value);
    }
    let digits = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size == 0.0 => 0,
        _ => 2,
    };
    format!("{value:.digits$}")
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

/// The first column to the left, the others to the right.
pub(crate) fn align(lines: &[Vec<String>], text: &mut String) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            match column {
                0 => push(&mut row, &format!("  {cell:<width$}")),
                // A column that no row fills is left out.
                _ if *width == 0 => {}
                _ => push(&mut row, &format!("  {cell:>width$}")),
            }
        }
        push(text, row.trim_end());
        push(text, "\n");
    }
}

/// Appends to a text.
pub(super) fn push(text: &mut String, part: &str) {
    text.write_str(part)
        .expect("writing to a text does not fail");
}

#[cfg(test)]
mod tests {
    use super::{align, figure};

    #[test]
    fn figures_show_what_counts_of_them() {
        for (value, text) in [
            (1_234_567.8, "1,234,568"),
            (999.6, "1000"),
            (45.67, "45.7"),
            (0.456, "0.46"),
            (0.0, "0"),
            (-1500.0, "-1,500"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [["a", "1"], ["bcd", "22"]].map(|line| line.map(str::to_owned).to_vec());
        let mut text = String::new();
        align(&lines, &mut text);
        assert_eq!(text, "  a     1\n  bcd  22\n");
    }
}
