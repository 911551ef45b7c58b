//! Writes projections. Each table is described once, as its columns; the statements are derived from them.

mod column;
mod history_table;
mod merged_table;
mod tables;

use diesel_async::AsyncPgConnection;
use futures_util::try_join;
use harkara_core::projection::Projection;

use crate::StorageError;
use tables::{
    ACCOUNTS, DISPUTES, DOWNTIMES, INVOICES, NOTIFICATIONS, ORDERS, PAYMENT_LINKS, PAYMENTS,
    REFUNDS, SNAPSHOTS, VALIDATIONS,
};

/// The effect of a batch's snapshots on the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Merged rows that were inserted or changed.
    pub changed: usize,
    /// Late snapshots that changed nothing, within the batch or in the tables.
    pub unchanged: usize,
}

/// Each table of projections, with the number of rows that a projection has for it.
fn rows(projection: &Projection) -> [(&'static str, usize); 11] {
    [
        (ORDERS.name(), projection.orders.len()),
        (PAYMENTS.name(), projection.payments.len()),
        (REFUNDS.name(), projection.refunds.len()),
        (DISPUTES.name(), projection.disputes.len()),
        (SNAPSHOTS.name(), projection.states.len()),
        (DOWNTIMES.name(), projection.downtimes.len()),
        (INVOICES.name(), projection.invoices.len()),
        (VALIDATIONS.name(), projection.validations.len()),
        (ACCOUNTS.name(), projection.accounts.len()),
        (PAYMENT_LINKS.name(), projection.payment_links.len()),
        (NOTIFICATIONS.name(), projection.notifications.len()),
    ]
}

/// The tables that projections are written to, by name.
pub fn tables() -> impl Iterator<Item = &'static str> {
    rows(&Projection::default())
        .into_iter()
        .map(|(table, _)| table)
}

/// Those of them whose rows are merged, and so updated.
pub(crate) fn merged_tables() -> [&'static str; 5] {
    [
        ORDERS.name(),
        PAYMENTS.name(),
        REFUNDS.name(),
        DISPUTES.name(),
        SNAPSHOTS.name(),
    ]
}

/// The tables that a projection changes, by name.
pub(crate) fn tables_of(projection: &Projection) -> impl Iterator<Item = &'static str> {
    let changed = rows(projection).into_iter().filter(|(_, rows)| *rows > 0);
    changed.map(|(table, _)| table)
}

/// Writes a projection. Tables are locked in one fixed order, and rows within a table in order of their
/// keys, so that concurrent commits cannot deadlock. The statements are pipelined; the server runs them one
/// after the other, in this order.
pub(crate) async fn write(
    connection: &AsyncPgConnection,
    projection: &Projection,
) -> Result<Applied, StorageError> {
    let (orders, payments, refunds, disputes, states, (), (), (), (), (), ()) = try_join!(
        ORDERS.upsert(connection, &projection.orders),
        PAYMENTS.upsert(connection, &projection.payments),
        REFUNDS.upsert(connection, &projection.refunds),
        DISPUTES.upsert(connection, &projection.disputes),
        SNAPSHOTS.upsert(connection, &projection.states),
        DOWNTIMES.insert(connection, &projection.downtimes),
        INVOICES.insert(connection, &projection.invoices),
        VALIDATIONS.insert(connection, &projection.validations),
        ACCOUNTS.insert(connection, &projection.accounts),
        PAYMENT_LINKS.insert(connection, &projection.payment_links),
        NOTIFICATIONS.insert(connection, &projection.notifications),
    )?;
    let merged = [orders, payments, refunds, disputes, states];
    Ok(Applied {
        changed: merged.iter().map(|table| table.changed).sum(),
        unchanged: projection.n_late + merged.iter().map(|table| table.unchanged).sum::<usize>(),
    })
}
