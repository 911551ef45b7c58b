//! The tables besides the ledger: they have a row for each entity and each event that the accepted
//! bodies show, and no other.

use std::collections::HashSet;

use anyhow::{Context, Result};
use harkara_core::event::{self, Event};
use harkara_core::ids::EventId;
use harkara_core::projection::{Projection, Snapshot, project};
use harkara_core::text::Text;
use harkara_load::Corpus;

use crate::servers::postgres::Database;

/// Bodies that are read at once. What is read takes memory.
const BODIES_AT_ONCE: usize = 1_000;

/// The tables that are written from events, as far as a run writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    All,
    /// Those of the peer.
    PaymentsAndOrders,
}

impl Tables {
    fn include(self, table: &str) -> bool {
        self == Self::All || ["payment_orders", "payment_transactions"].contains(&table)
    }
}

/// The keys that the rows of each table must have.
#[derive(Default)]
pub(super) struct Rows([HashSet<Text>; TABLES.len()]);

const TABLES: [&str; 11] = [
    "payment_orders",
    "payment_transactions",
    "payment_refunds",
    "payment_disputes",
    "entity_snapshots",
    "downtime_events",
    "invoice_events",
    "fund_account_events",
    "account_events",
    "payment_link_events",
    "order_notifications",
];

impl Rows {
    /// Adds the rows that deliveries of a corpus give.
    pub(super) fn add(
        &mut self,
        corpus: &Corpus,
        positions: impl Iterator<Item = usize>,
    ) -> Result<()> {
        let mut positions = positions.peekable();
        while positions.peek().is_some() {
            let events = positions
                .by_ref()
                .take(BODIES_AT_ONCE)
                .map(|at| event_at(corpus, at))
                .collect::<Result<Vec<_>>>()?;
            self.add_projection(&project(events.iter().map(|(id, event)| (id, event))));
        }
        Ok(())
    }

    /// Adds all rows of another.
    pub(super) fn extend(&mut self, other: Self) {
        for (keys, more) in self.0.iter_mut().zip(other.0) {
            keys.extend(more);
        }
    }

    fn add_projection(&mut self, projection: &Projection) {
        let Projection {
            orders,
            payments,
            refunds,
            disputes,
            states,
            downtimes,
            invoices,
            validations,
            accounts,
            payment_links,
            notifications,
            n_late: _,
        } = projection;
        // In the order of the tables above.
        let [
            of_orders,
            of_payments,
            of_refunds,
            of_disputes,
            of_states,
            history @ ..,
        ] = &mut self.0;
        of_orders.extend(orders.iter().map(|row| row.entity.id.as_str().into()));
        of_payments.extend(payments.iter().map(|row| row.entity.id.as_str().into()));
        of_refunds.extend(refunds.iter().map(|row| row.entity.id.as_str().into()));
        of_disputes.extend(disputes.iter().map(|row| row.entity.id.as_str().into()));
        of_states.extend(states.iter().map(|row| {
            let (kind, id) = (&row.entity.kind, &row.entity.id);
            Text::from(format!("{kind} {id}"))
        }));
        let of_history = [
            event_ids(downtimes),
            event_ids(invoices),
            event_ids(validations),
            event_ids(accounts),
            event_ids(payment_links),
            event_ids(notifications),
        ];
        for (keys, more) in history.iter_mut().zip(of_history) {
            keys.extend(more);
        }
    }

    /// Which tables have another number of rows.
    pub(super) async fn faults(&self, database: &Database, tables: Tables) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for (table, keys) in TABLES.iter().zip(&self.0) {
            if !tables.include(table) {
                continue;
            }
            let stored = database
                .number(&format!("SELECT count(*) FROM {table}"))
                .await?;
            let stored = usize::try_from(stored)?;
            if stored != keys.len() {
                faults.push(format!(
                    "{table}: {stored} rows, where the accepted bodies give {}",
                    keys.len()
                ));
            }
        }
        Ok(faults)
    }
}

fn event_ids<T>(rows: &[Snapshot<T>]) -> Vec<Text> {
    rows.iter()
        .map(|row| row.event_id.as_str().into())
        .collect()
}

fn event_at(corpus: &Corpus, at: usize) -> Result<(EventId, Event)> {
    let delivery = corpus.delivery(at);
    let id = EventId::from_header(delivery.event_id).context("every delivery has an id")?;
    let event = event::read(delivery.body)
        .with_context(|| format!("the body of {} cannot be read", delivery.event_id))?;
    Ok((id, event))
}

#[cfg(test)]
mod tests {
    use harkara_core::secret::Secret;
    use harkara_load::{Corpus, Mix};

    use super::{BODIES_AT_ONCE, Rows};
    use crate::bench::{SECRET, SEED};

    #[test]
    fn a_row_is_counted_once_however_many_events_show_it() {
        let n = BODIES_AT_ONCE + 1;
        let corpus = Corpus::prepare(Mix::Realistic, n, &Secret::new(SECRET), SEED, 1_767_225_600);
        let sizes = |rows: &Rows| rows.0.each_ref().map(std::collections::HashSet::len);
        let mut rows = Rows::default();
        rows.add(&corpus, 0..n).unwrap();
        let once = sizes(&rows);
        let [orders, payments, ..] = once;
        assert!(orders > 0 && payments > 0 && payments < n, "{once:?}");
        rows.add(&corpus, 0..n).unwrap();
        assert_eq!(sizes(&rows), once);
        let mut other = Rows::default();
        other.add(&corpus, 0..n / 2).unwrap();
        assert!(sizes(&other)[1] < payments);
        other.extend(rows);
        assert_eq!(sizes(&other), once);
    }
}
