//! Tables for a terminal.

use std::fmt::{self, Write};

use super::goal::{Bound, Goal};
use crate::audit::Audit;
use crate::figures::{Other, Role};
use crate::rounds::Row;

/// A column behind the variants' names; left out of a table in which no row fills it.
struct Column {
    name: &'static str,
    figure: fn(&Row) -> Option<f64>,
}

const fn column(name: &'static str, figure: fn(&Row) -> Option<f64>) -> Column {
    Column { name, figure }
}

const COLUMNS: [Column; 26] = [
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
    column("ms/s ingr", |row| {
        row.median.other(Other::IdleIngressCpuMsPerS)
    }),
    column("ms/s redis", |row| {
        row.median.other(Other::IdleRedisCpuMsPerS)
    }),
    column("ms/s work", |row| {
        row.median.other(Other::IdleWorkerCpuMsPerS)
    }),
    column("ms/s pg", |row| {
        row.median.other(Other::IdlePostgresCpuMsPerS)
    }),
    column("start ms ingr", |row| {
        row.median.other(Other::IngressStartMs)
    }),
    column("start ms work", |row| {
        row.median.other(Other::WorkerStartMs)
    }),
    column("MiB ingr", |row| resident(row, Role::Ingress)),
    column("MiB work", |row| resident(row, Role::Worker)),
    column("B redis", |row| row.median.redis_bytes_per_event),
    column("B WAL", |row| row.median.wal_bytes_per_event),
];

/// Rows of one stage after another.
pub(crate) fn rows(rows: &[Row], text: &mut String) -> fmt::Result {
    for stage in rows.chunk_by(|a, b| a.stage == b.stage) {
        let Some(first) = stage.first() else { continue };
        let of = match first.runs.len() {
            1 => "one run".to_owned(),
            n => format!("median of {n}"),
        };
        writeln!(text, "\n{} ({of})", first.stage)?;
        align(&lines(stage), text)?;
    }
    Ok(())
}

/// What is to be reached and what was.
pub(crate) fn goals(goals: &[Goal], text: &mut String) -> fmt::Result {
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
    writeln!(text)?;
    align(&lines, text)
}

/// One line where all is well; else what is not.
pub(crate) fn audits(audits: &[Audit], text: &mut String) -> fmt::Result {
    if audits.is_empty() {
        return writeln!(
            text,
            "\nNo run was to store anything, so there was nothing to audit."
        );
    }
    let stored: usize = audits.iter().map(|audit| audit.stored).sum();
    let accepted: usize = audits.iter().map(|audit| audit.accepted).sum();
    write!(
        text,
        "\nAudit of {} runs: {accepted} accepted, {stored} stored. ",
        audits.len()
    )?;
    let faults: Vec<_> = audits
        .iter()
        .flat_map(|audit| audit.faults.iter().map(|fault| (&audit.run, fault)))
        .collect();
    if faults.is_empty() {
        return writeln!(text, "Clean: accepted = stored, nothing twice.");
    }
    writeln!(text, "FAILED:")?;
    for (run, fault) in faults {
        writeln!(text, "  {run}: {fault}")?;
    }
    Ok(())
}

fn lines(rows: &[Row]) -> Vec<Vec<String>> {
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

fn above_zero(figure: f64) -> Option<f64> {
    (figure > 0.0).then_some(figure)
}

/// Of the runs the most, so that no median hides one; `None` for zero.
fn most(row: &Row, other: Other) -> Option<f64> {
    let figures = row.runs.iter().filter_map(|run| run.other(other));
    figures.reduce(f64::max).and_then(above_zero)
}

fn cpu(row: &Row, role: Role) -> Option<f64> {
    row.median.cpu_us_per_event.get(&role).copied()
}

fn resident(row: &Row, role: Role) -> Option<f64> {
    row.median.resident_mib.get(&role).copied()
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
pub(crate) fn align(lines: &[Vec<String>], text: &mut String) -> fmt::Result {
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
                0 => write!(row, "  {cell:<width$}")?,
                _ => write!(row, "  {cell:>width$}")?,
            }
        }
        writeln!(text, "{}", row.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{align, figure, lines};
    use crate::arguments::Part;
    use crate::figures::{Figures, Other};
    use crate::rounds::Row;

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
    fn a_column_that_no_row_fills_is_left_out() {
        let run = |unsent| Figures {
            rate_per_s: 10.0,
            others: BTreeMap::from([(Other::Unsent, unsent)]),
            ..Figures::default()
        };
        let row = |runs: &[Figures]| Row::new(Part::Ingress, "stage", "one", runs.to_vec());
        let lines_of = |unsent: [f64; 3]| lines(&[row(&unsent.map(run))]);
        assert_eq!(lines_of([0.0; 3])[0], ["", "rate/s", "from", "to"]);
        // One run of three counts, whatever the median is.
        let with_unsent = lines_of([0.0, 7.0, 0.0]);
        assert_eq!(with_unsent[0], ["", "rate/s", "from", "to", "unsent"]);
        assert_eq!(with_unsent[1].last().unwrap(), "7.00");
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [["a", "1"], ["bcd", "22"]].map(|line| line.map(str::to_owned).to_vec());
        let mut text = String::new();
        align(&lines, &mut text).unwrap();
        assert_eq!(text, "  a     1\n  bcd  22\n");
    }
}
