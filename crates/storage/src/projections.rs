//! From merged snapshots to rows. Each table is described once, as its columns; the statements are
//! made from that.

mod account_events;
mod column;
mod downtime_events;
mod entity_snapshots;
mod fund_account_events;
mod history_table;
mod invoice_events;
mod merged_table;
mod order_notifications;
mod payment_disputes;
mod payment_link_events;
mod payment_orders;
mod payment_refunds;
mod payment_transactions;

use diesel_async::AsyncPgConnection;
use futures_util::try_join;
use harkara_core::projection::Projection;

use crate::StorageError;

/// How the snapshots of a batch fared against what the tables held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Merged rows that were inserted or changed.
    pub changed: usize,
    /// Snapshots that came late and changed nothing, within the batch or against the tables.
    pub unchanged: usize,
}

/// Writes a projection. Tables are taken in one fixed order, and rows within a table in order of
/// their keys, so that concurrent commits cannot lock each other out. The statements are pipelined;
/// the server takes them one after the other, in this order.
pub(crate) async fn write(
    connection: &AsyncPgConnection,
    projection: &Projection,
) -> Result<Applied, StorageError> {
    let (orders, payments, refunds, disputes, states, (), (), (), (), (), ()) = try_join!(
        payment_orders::TABLE.upsert(connection, &projection.orders),
        payment_transactions::TABLE.upsert(connection, &projection.payments),
        payment_refunds::TABLE.upsert(connection, &projection.refunds),
        payment_disputes::TABLE.upsert(connection, &projection.disputes),
        entity_snapshots::TABLE.upsert(connection, &projection.states),
        downtime_events::TABLE.insert(connection, &projection.downtimes),
        invoice_events::TABLE.insert(connection, &projection.invoices),
        fund_account_events::TABLE.insert(connection, &projection.validations),
        account_events::TABLE.insert(connection, &projection.accounts),
        payment_link_events::TABLE.insert(connection, &projection.payment_links),
        order_notifications::TABLE.insert(connection, &projection.notifications),
    )?;
    let mut applied = Applied {
        unchanged: projection.n_late,
        ..Applied::default()
    };
    for of_table in [orders, payments, refunds, disputes, states] {
        applied += of_table;
    }
    Ok(applied)
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, more: Self) {
        self.changed += more.changed;
        self.unchanged += more.unchanged;
    }
}
