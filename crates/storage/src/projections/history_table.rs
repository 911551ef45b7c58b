//! A table with one row for each event, never merged.

use std::sync::OnceLock;

use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::projection::Snapshot;

use super::column::{Column, event_id, event_type, occurred_at, precedence};
use crate::StorageError;
use crate::statement::{SqlText, Statement};
use crate::statement_times::Named;

/// A table keyed by the event's id.
pub(super) struct HistoryTable<T: 'static> {
    name: &'static str,
    columns: fn() -> Vec<Column<T>>,
    made: OnceLock<Made<T>>,
}

struct Made<T: 'static> {
    columns: Vec<Column<T>>,
    text: SqlText,
}

impl<T> HistoryTable<T> {
    /// A table with these columns besides those that every history has.
    pub(super) const fn new(name: &'static str, columns: fn() -> Vec<Column<T>>) -> Self {
        let made = OnceLock::new();
        Self {
            name,
            columns,
            made,
        }
    }

    /// Adds a row for each snapshot; an event that has its row keeps it. Uses the primary key.
    pub(super) async fn insert(
        &self,
        connection: &AsyncPgConnection,
        rows: &[Snapshot<T>],
    ) -> Result<(), StorageError> {
        if rows.is_empty() {
            return Ok(());
        }
        let made = self.made();
        let columns = made
            .columns
            .iter()
            .map(|column| (column.name, column.bind(rows)))
            .collect();
        Statement::<()>::new(&made.text, columns)
            .execute(&mut &*connection)
            .named(self.name)
            .await?;
        Ok(())
    }

    fn made(&self) -> &Made<T> {
        self.made.get_or_init(|| {
            let mut columns = vec![event_id("razorpay_event_id"), event_type()];
            columns.extend((self.columns)());
            columns.extend([occurred_at(), precedence()]);
            let names: Vec<_> = columns.iter().map(|column| column.name).collect();
            let names = names.join(", ");
            let expressions: Vec<_> = columns.iter().map(Column::expression).collect();
            let text = format!(
                "INSERT INTO {} ({names}) SELECT {} FROM ({{}}) AS i \
                 ON CONFLICT (razorpay_event_id) DO NOTHING",
                self.name,
                expressions.join(", "),
            );
            Made {
                columns,
                text: SqlText::cut(&text),
            }
        })
    }
}
