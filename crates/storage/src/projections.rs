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
