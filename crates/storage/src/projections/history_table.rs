//! A table with one row for each event, never merged.

use std::sync::OnceLock;

use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::projection::Snapshot;

use super::column::{
    Column, Layout, event_id, event_type, names_and_expressions, occurred_at, precedence,
};
use crate::StorageError;
use crate::statement_times::Named;

/// A table keyed by the event's id.
pub(super) struct HistoryTable<T: 'static> {
    name: &'static str,
    columns: fn() -> Vec<Column<T>>,
    layout: OnceLock<Layout<T>>,
}

impl<T> HistoryTable<T> {
    /// A table with these columns besides those that every history has.
    pub(super) const fn new(name: &'static str, columns: fn() -> Vec<Column<T>>) -> Self {
        let layout = OnceLock::new();
        Self {
            name,
            columns,
            layout,
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
        let layout = self.layout.get_or_init(|| self.lay_out());
        layout
            .statement::<()>(rows)
            .execute(&mut &*connection)
            .named(self.name)
            .await?;
        Ok(())
    }

    fn lay_out(&self) -> Layout<T> {
        let mut columns = vec![event_id("razorpay_event_id"), event_type()];
        columns.extend((self.columns)());
        columns.extend([occurred_at(), precedence()]);
        let (names, expressions) = names_and_expressions(&columns);
        let statement = format!(
            "INSERT INTO {} ({names}) SELECT {expressions} FROM ({{}}) AS i \
             ON CONFLICT (razorpay_event_id) DO NOTHING",
            self.name
        );
        Layout::new(columns, &statement)
    }
}
