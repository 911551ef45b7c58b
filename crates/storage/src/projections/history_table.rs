//! A table with one row for each event, never merged.

use diesel_async::{AsyncPgConnection, RunQueryDsl};
use harkara_core::projection::Snapshot;

use super::column::{
    Column, Table, account_id, event_id, event_type, names_and_expressions, occurred_at, precedence,
};
use crate::StorageError;
use crate::statement_times::Named;

/// A table keyed by the event's id.
pub(super) struct HistoryTable<T: 'static>(Table<T>);

impl<T> HistoryTable<T> {
    /// A table with these columns, the account of the event, and those that every history has.
    pub(super) fn with_account_id(name: &'static str, mut own: Vec<Column<T>>) -> Self {
        own.push(account_id());
        Self::new(name, own)
    }

    /// A table with these columns besides those that every history has.
    pub(super) fn new(name: &'static str, own: Vec<Column<T>>) -> Self {
        let mut columns = vec![event_id("razorpay_event_id"), event_type()];
        columns.extend(own);
        columns.extend([occurred_at(), precedence()]);
        let (names, expressions) = names_and_expressions(&columns);
        let statement = format!(
            "INSERT INTO {name} ({names}) SELECT {expressions} FROM ({{}}) AS i \
             ON CONFLICT (razorpay_event_id) DO NOTHING"
        );
        Self(Table::new(name, columns, statement))
    }

    pub(super) fn name(&self) -> &'static str {
        self.0.name
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
        self.0
            .statement::<()>(rows)
            .execute(&mut &*connection)
            .named(self.0.name)
            .await
            .map(drop)
    }
}
