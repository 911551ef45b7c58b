//! Aligned columns.

use std::io;

use super::line;

/// Between two columns.
const GAP: &str = "  ";

/// What stands in a cell without a value.
const NOTHING: &str = "–";

/// On which side a column's cells are filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a header, each column as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    /// Further lines of the last cell.
    continued: Vec<String>,
    below: Option<String>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, with one cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.columns.len(), "a row has a cell for each column");
        let cells = cells.map(|cell| {
            if cell.is_empty() {
                NOTHING.to_owned()
            } else {
                visible(&cell)
            }
        });
        self.rows.push(Row {
            cells: cells.into(),
            continued: Vec::new(),
            below: None,
        });
    }

    /// Goes on with the last cell of the last row, on a line of its own.
    pub(crate) fn continued(&mut self, text: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.continued.push(visible(text));
        }
    }

    /// Adds an indented line below the last row.
    pub(crate) fn below(&mut self, text: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.below = Some(visible(text));
        }
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) -> io::Result<()> {
        self.lines().into_iter().try_for_each(line)
    }

    fn lines(&self) -> Vec<String> {
        let header: Vec<String> = self
            .columns
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                self.rows
                    .iter()
                    .map(|row| &row.cells)
                    .chain([&header])
                    .map(|cells| width(&cells[at]))
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut lines = vec![self.line(&header, &widths)];
        for row in &self.rows {
            lines.push(self.line(&row.cells, &widths));
            let before_last: usize = widths
                .iter()
                .rev()
                .skip(1)
                .map(|width| width + GAP.len())
                .sum();
            lines.extend(
                row.continued
                    .iter()
                    .map(|text| format!("{}{text}", " ".repeat(before_last))),
            );
            lines.extend(row.below.as_ref().map(|text| format!("    {text}")));
        }
        lines
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let filled: Vec<String> = cells
            .iter()
            .zip(widths)
            .zip(&self.columns)
            .map(|((cell, widest), (_, align))| {
                let fill = " ".repeat(widest - width(cell));
                match align {
                    Align::Left => format!("{cell}{fill}"),
                    Align::Right => format!("{fill}{cell}"),
                }
            })
            .collect();
        filled.join(GAP).trim_end().to_owned()
    }
}

/// The text with `…` for what is beyond `characters_max`.
pub(crate) fn shortened(text: &str, characters_max: usize) -> String {
    if width(text) <= characters_max {
        return text.to_owned();
    }
    let kept: String = text
        .chars()
        .take(characters_max.saturating_sub(1))
        .collect();
    format!("{kept}…")
}

/// The text without characters that could move the cursor or recolour the terminal: names and errors
/// may repeat what stood in a body.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::{Align, Table, shortened, visible};

    #[test]
    fn columns_line_up_on_their_side() {
        let mut table = Table::new(&[("NAME", Align::Left), ("MS", Align::Right)]);
        table.row(["a".to_owned(), "7".to_owned()]);
        table.row(["longer".to_owned(), "1200".to_owned()]);
        table.below("and why");
        table.row([String::new(), String::new()]);
        let lines = table.lines();
        assert_eq!(
            lines,
            [
                "NAME      MS",
                "a          7",
                "longer  1200",
                "    and why",
                "–          –"
            ]
        );
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
    }

    #[test]
    fn nothing_that_was_received_can_control_the_terminal() {
        assert_eq!(
            visible("a\u{1b}[31mb\r\n"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}"
        );
    }
}
