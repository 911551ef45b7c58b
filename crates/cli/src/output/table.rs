//! Aligned columns without borders.

use std::io;

use comfy_table::{CellAlignment, presets};

use super::line;

/// The text of an empty cell.
const EMPTY: &str = "–";

/// The space after a column.
const GAP: u16 = 2;

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    columns: &'static [&'static str],
    right_aligned: &'static [usize],
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    below: Option<String>,
}

impl Table {
    /// A table without rows; numbers go to right-aligned columns.
    pub(crate) fn new(columns: &'static [&'static str], right_aligned: &'static [usize]) -> Self {
        Self {
            columns,
            right_aligned,
            rows: Vec::new(),
        }
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.map(|cell| match cell.as_str() {
            "" => EMPTY.to_owned(),
            text => visible(text),
        });
        self.rows.push(Row {
            cells: cells.into(),
            below: None,
        });
    }

    /// Adds a line to the last cell of the last row.
    pub(crate) fn continued(&mut self, text: &str) {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.cells.last_mut()) {
            *cell = format!("{cell}\n{}", visible(text));
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
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(self.columns.iter());
        table.add_rows(self.rows.iter().map(|row| &row.cells));
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, GAP));
            if self.right_aligned.contains(&at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut aligned = table.lines().map(|line| line.trim_end().to_owned());
        let mut lines: Vec<String> = aligned.by_ref().take(1).collect();
        for row in &self.rows {
            let n_lines = row.cells.iter().map(|cell| cell.lines().count()).max();
            lines.extend(aligned.by_ref().take(n_lines.unwrap_or(1)));
            lines.extend(row.below.iter().map(|text| format!("    {text}")));
        }
        lines
    }
}

/// The text with `…` for what is beyond `characters_max`.
pub(crate) fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let kept = text.chars().take(characters_max.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// The text without characters that could move the cursor or recolour the terminal: names and errors
/// may quote a body.
pub(crate) fn visible(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::{Table, shortened};

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["NAME", "MS"], &[1]);
        table.row(["a".to_owned(), "7".to_owned()]);
        table.row(["longer".to_owned(), "1200".to_owned()]);
        table.continued("13");
        table.below("and why");
        table.row([String::new(), String::new()]);
        let lines = table.lines();
        assert_eq!(
            lines,
            [
                "NAME      MS",
                "a          7",
                "longer  1200",
                "          13",
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
}
