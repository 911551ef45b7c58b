//! Tables for a terminal.

use comfy_table::{CellAlignment, presets};

use super::goal::{Bound, Goal};
use crate::audit::RunAudit;
use crate::figures::{Other, Role};
use crate::results::VariantResult;

/// The space before a column.
const GAP: u16 = 2;

/// A column after the variants' names; left out of a table in which no row fills it.
struct Column {
    name: &'static str,
    figure: fn(&VariantResult) -> Option<f64>,
}

const fn column(name: &'static str, figure: fn(&VariantResult) -> Option<f64>) -> Column {
    Column { name, figure }
}

const COLUMNS: [Column; 29] = [
    column("rate/s", |row| above_zero(row.median.rate_per_s)),
    column("from", |row| above_zero(row.rate_min)),
    column("to", |row| above_zero(row.rate_max)),
    column("of ref", |row| row.of_reference),
    column("p50 ms", |row| Some(row.median.latency?.p50_ms)),
    column("p99", |row| Some(row.median.latency?.p99_ms)),
    column("p99.9", |row| row.median.latency?.p999_ms),
    column("max", |row| row.median.latency?.max_ms),
    column("not 2xx", |row| most(row, Other::NotAccepted)),
    column("unsent", |row| most(row, Other::Unsent)),
    column("µs gen", |row| cpu(row, Role::Generator)),
    column("µs ingr", |row| cpu(row, Role::Ingress)),
    column("µs redis", |row| cpu(row, Role::Redis)),
    column("µs work", |row| cpu(row, Role::Worker)),
    column("µs pg", |row| cpu(row, Role::Postgres)),
    column("µs sum−gen", |row| {
        let measured = row.median.cpu_us_per_event.iter();
        let of_receivers = measured.filter(|(role, _)| **role != Role::Generator);
        above_zero(of_receivers.map(|(_, us)| us).sum())
    }),
    column("ms/s ingr", |row| other(row, Other::IdleIngressCpuMsPerS)),
    column("ms/s redis", |row| other(row, Other::IdleRedisCpuMsPerS)),
    column("ms/s work", |row| other(row, Other::IdleWorkerCpuMsPerS)),
    column("ms/s pg", |row| other(row, Other::IdlePostgresCpuMsPerS)),
    column("start ms ingr", |row| other(row, Other::IngressStartMs)),
    column("start ms work", |row| other(row, Other::WorkerStartMs)),
    column("MiB ingr", |row| resident(row, Role::Ingress)),
    column("MiB work", |row| resident(row, Role::Worker)),
    column("B redis", |row| row.median.redis_bytes_per_event),
    column("B WAL", |row| row.median.wal_bytes_per_event),
    column("ms", |row| other(row, Other::CommandMs)),
    column("steps", |row| other(row, Other::Steps)),
    column("longest step, ms", |row| other(row, Other::LongestStepMs)),
];

/// The rows of a stage.
pub(crate) fn stage(rows: &[VariantResult]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let of = match first.runs.len() {
        1 => "one run".to_owned(),
        n => format!("median of {n}"),
    };
    format!("{} ({of})\n{}", first.stage, aligned(lines(rows)))
}

/// The goals, and whether they were reached.
pub(crate) fn goals(goals: &[Goal]) -> String {
    let line = |goal: &Goal| {
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
        let figure = optional(goal.figure);
        [goal.what.clone(), figure, bound, reached.to_owned()]
    };
    let header = ["goal", "figure", "bound", ""].map(str::to_owned);
    aligned([header].into_iter().chain(goals.iter().map(line)))
}

/// One line if all is well; else the faults too.
pub(crate) fn audits(audits: &[RunAudit]) -> String {
    if audits.is_empty() {
        return "No run was to store anything, so there was nothing to audit.\n".to_owned();
    }
    let (runs, mut accepted, mut stored) = (audits.len(), 0, 0);
    let mut faults = String::new();
    for audit in audits {
        accepted += audit.accepted;
        stored += audit.stored;
        let lines = audit
            .faults
            .iter()
            .map(|fault| format!("  {}: {fault}\n", audit.run));
        faults.extend(lines);
    }
    let verdict = if faults.is_empty() {
        "Clean: accepted = stored, nothing twice."
    } else {
        "FAILED:"
    };
    format!("Audit of {runs} runs: {accepted} accepted, {stored} stored. {verdict}\n{faults}")
}

fn lines(rows: &[VariantResult]) -> Vec<Vec<String>> {
    let mut lines = vec![vec![String::new()]];
    lines.extend(rows.iter().map(|row| vec![row.variant.clone()]));
    for Column { name, figure } in &COLUMNS {
        let figures: Vec<Option<f64>> = rows.iter().map(figure).collect();
        if figures.iter().any(Option::is_some) {
            lines[0].push((*name).to_owned());
            for (line, figure) in lines[1..].iter_mut().zip(figures) {
                line.push(optional(figure));
            }
        }
    }
    lines
}

fn other(row: &VariantResult, other: Other) -> Option<f64> {
    row.median.other(other)
}

fn above_zero(figure: f64) -> Option<f64> {
    (figure > 0.0).then_some(figure)
}

/// The maximum of the runs, so that no median hides one; `None` for zero.
fn most(row: &VariantResult, other: Other) -> Option<f64> {
    let figures = row.runs.iter().filter_map(|run| run.other(other));
    figures.reduce(f64::max).and_then(above_zero)
}

fn cpu(row: &VariantResult, role: Role) -> Option<f64> {
    row.median.cpu_us_per_event.get(&role).copied()
}

fn resident(row: &VariantResult, role: Role) -> Option<f64> {
    row.median.resident_mib.get(&role).copied()
}

fn optional(value: Option<f64>) -> String {
    value.map(figure).unwrap_or_default()
}

/// Three significant digits, with thousands separated.
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
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", groups.join(","))
}

/// Lines with the first column aligned to the left, the others to the right.
pub(crate) fn aligned(lines: impl IntoIterator<Item: Into<comfy_table::Row>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).add_rows(lines);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((GAP, 0));
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{aligned, figure, lines};
    use crate::arguments::Part;
    use crate::figures::{Figures, Other};
    use crate::results::{Stage, VariantResult};

    #[test]
    fn figures_show_three_significant_digits() {
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
    fn a_column_that_no_row_fills_is_left_out() {
        let run = |unsent| Figures {
            rate_per_s: 10.0,
            others: BTreeMap::from([(Other::Unsent, unsent)]),
            ..Figures::default()
        };
        let stage = Stage(Part::Ingress, "stage", 3);
        let lines_of = |unsent: [f64; 3]| {
            let runs = unsent.map(run).to_vec();
            lines(&[VariantResult::new(stage, "one", runs)])
        };
        assert_eq!(lines_of([0.0; 3])[0], ["", "rate/s", "from", "to"]);
        // One run of three counts, whatever the median is.
        let with_unsent = lines_of([0.0, 7.0, 0.0]);
        assert_eq!(with_unsent[0], ["", "rate/s", "from", "to", "unsent"]);
        assert_eq!(with_unsent[1].last().unwrap(), "7.00");
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [["a", "1"], ["bcd", "22"], ["ef", ""]];
        assert_eq!(aligned(lines), "  a     1\n  bcd  22\n  ef\n");
    }
}
