//! Aligned columns without borders.

use std::io;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle};
use harkara_core::visible::visible;

use super::line;

/// The text of an empty cell.
const EMPTY: &str = "–";

/// The space after a column.
const GAP: u16 = 2;

/// Fills the line between two rows until the lines below rows are added. No cell has control characters.
const SEPARATOR: char = '\0';

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    columns: &'static [&'static str],
    right_aligned: &'static [usize],
    rows: Vec<Row>,
    characters_max: Option<u16>,
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
            characters_max: None,
        }
    }

    /// Wraps the words of the last column so that no line is longer.
    pub(crate) fn within(mut self, characters_max: u16) -> Self {
        self.characters_max = Some(characters_max);
        self
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.map(|cell| match cell.as_str() {
            "" => EMPTY.to_owned(),
            text => visible(text).into_owned(),
        });
        self.rows.push(Row {
            cells: cells.into(),
            below: None,
        });
    }

    /// Adds an indented line below the last row.
    pub(crate) fn below(&mut self, text: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.below = Some(visible(text).into_owned());
        }
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) -> io::Result<()> {
        self.lines().into_iter().try_for_each(line)
    }

    fn lines(&self) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        let separator = LineStyle::none().fill(SEPARATOR);
        table
            .load_style(NOTHING.row_separator(separator))
            .set_header(self.columns.iter())
            .add_rows(self.rows.iter().map(|row| &row.cells));
        if let Some(characters_max) = self.characters_max {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(characters_max + GAP);
        }
        let last = self.columns.len() - 1;
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, GAP));
            if at < last {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            if self.right_aligned.contains(&at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut lines = Vec::new();
        let mut rows = self.rows.iter();
        for line in table.lines().chain([SEPARATOR.to_string()]) {
            if line.starts_with(SEPARATOR) {
                let below = rows.next().and_then(|row| row.below.as_ref());
                lines.extend(below.map(|text| format!("    {text}")));
            } else {
                lines.push(line.trim_end().to_owned());
            }
        }
        lines
    }
}

/// The text as it is visible, with `…` for what is beyond `characters_max`.
pub(crate) fn shortened(text: &str, characters_max: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= characters_max {
        return text.into_owned();
    }
    let kept = text.chars().take(characters_max.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{Table, shortened};

    #[test]
    fn columns_are_aligned_and_the_last_is_wrapped() {
        let mut table = Table::new(&["NAME", "MS", "ROWS"], &[1]).within(40);
        let mut row = |name: &str, ms: &str, rows: &str| {
            table.row([name, ms, rows].map(str::to_owned));
        };
        row("a", "7", "");
        row(
            "longer",
            "1200",
            "orders(paid) refunds transactions(captured)",
        );
        table.below("and why");
        table.row(["", "", "x"].map(str::to_owned));
        assert_eq!(
            table.lines(),
            [
                "NAME      MS  ROWS",
                "a          7  –",
                "longer  1200  orders(paid) refunds",
                "              transactions(captured)",
                "    and why",
                "–          –  x"
            ]
        );
        let whole = table.within(57).lines();
        assert_eq!(
            whole[2],
            "longer  1200  orders(paid) refunds transactions(captured)"
        );
    }

    #[test]
    fn a_cell_is_as_wide_as_it_is_shown() {
        let mut table = Table::new(&["NAME", "MS"], &[]);
        table.row(["a\u{202e}\nb", "7"].map(str::to_owned));
        table.below("why\u{200b}");
        let lines = ["NAME          MS", r"a\u{202e}\nb  7", r"    why\u{200b}"];
        assert_eq!(table.lines(), lines);
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
        assert_eq!(shortened("\u{202e}\u{202e}", 6), r"\u{20…");
    }
}
