//! The rows that the events must have, by the merge law.

use std::collections::BTreeMap;

use harkara_core::entity::{Dispute, GenericEntity, Order, Payment, Refund};
use harkara_core::event;
use harkara_core::ids::EventId;
use harkara_core::projection::{Merge, Projection, Snapshot, merge, project};
use harkara_core::text::Text;
use harkara_storage::verification::{HISTORY_TABLES, MergedRow, MergedTable};

use super::SentDelivery;

/// Snapshots by the kind (empty where the table has one kind) and id of their entity.
type Snapshots<T> = BTreeMap<(Text, Text), Snapshot<T>>;

/// Every entity, folded from the events that took effect.
#[derive(Default)]
pub(super) struct ExpectedRows {
    orders: Snapshots<Order>,
    payments: Snapshots<Payment>,
    refunds: Snapshots<Refund>,
    disputes: Snapshots<Dispute>,
    states: Snapshots<GenericEntity>,
    history: [usize; HISTORY_TABLES.len()],
}

impl ExpectedRows {
    /// Adds deliveries; returns the projection of these alone.
    pub(super) fn add(&mut self, processed: &[&SentDelivery<'_>]) -> Projection {
        let read = |sent: &&SentDelivery<'_>| {
            let event = event::read(sent.body).ok()?;
            Some((EventId::stored(sent.event_id), event))
        };
        let events: Vec<_> = processed.iter().filter_map(read).collect();
        let projection = project(events.iter().map(|(id, event)| (id, event)));
        let key = |id: &str| (Text::default(), Text::from(id));
        let p = &projection;
        fold(&mut self.orders, &p.orders, |e| key(e.id.as_str()));
        fold(&mut self.payments, &p.payments, |e| key(e.id.as_str()));
        fold(&mut self.refunds, &p.refunds, |e| key(e.id.as_str()));
        fold(&mut self.disputes, &p.disputes, |e| key(e.id.as_str()));
        let state_key = |e: &GenericEntity| (e.kind.clone(), e.id.clone());
        fold(&mut self.states, &p.states, state_key);
        for (count, event_ids) in self.history.iter_mut().zip(history(p)) {
            *count += event_ids.len();
        }
        projection
    }

    /// The merged rows of each table.
    pub(super) fn rows(&self) -> [(MergedTable, Vec<MergedRow>); 5] {
        [
            rows(MergedTable::Orders, &self.orders, |row, order| {
                row.status = Some(order.status.to_string());
                row.grown = vec![
                    order.amount_paid.map(|amount| amount.0),
                    order.amount_due.map(|amount| amount.0),
                    order.attempts,
                ];
            }),
            rows(MergedTable::Payments, &self.payments, |row, payment| {
                row.status = Some(payment.status.to_string());
                row.grown = vec![payment.amount_refunded.map(|amount| amount.0)];
                row.refund_status = payment.refund_status.as_deref().map(str::to_owned);
            }),
            rows(MergedTable::Refunds, &self.refunds, |row, refund| {
                row.status = Some(refund.status.to_string());
            }),
            rows(MergedTable::Disputes, &self.disputes, |row, dispute| {
                row.status = Some(dispute.status.to_string());
            }),
            rows(MergedTable::Snapshots, &self.states, |row, state| {
                row.status = state.status.as_deref().map(str::to_owned);
            }),
        ]
    }

    /// How many rows each history table must have.
    pub(super) fn history_counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        HISTORY_TABLES.into_iter().zip(self.history)
    }
}

/// The events that must be in each history table, in the order of [`HISTORY_TABLES`].
pub(super) fn history(projection: &Projection) -> [Vec<&str>; HISTORY_TABLES.len()] {
    fn ids<T>(rows: &[Snapshot<T>]) -> Vec<&str> {
        rows.iter().map(|row| row.event_id.as_str()).collect()
    }
    [
        ids(&projection.downtimes),
        ids(&projection.invoices),
        ids(&projection.validations),
        ids(&projection.accounts),
        ids(&projection.payment_links),
        ids(&projection.notifications),
    ]
}

fn fold<T: Merge + Clone>(
    rows: &mut Snapshots<T>,
    more: &[Snapshot<T>],
    key: impl Fn(&T) -> (Text, Text),
) {
    for snapshot in more {
        let key = key(&snapshot.entity);
        let merged = match rows.remove(&key) {
            Some(known) => merge(known, snapshot.clone()),
            None => snapshot.clone(),
        };
        rows.insert(key, merged);
    }
}

fn rows<T>(
    table: MergedTable,
    rows: &Snapshots<T>,
    describe: impl Fn(&mut MergedRow, &T),
) -> (MergedTable, Vec<MergedRow>) {
    let row = |((kind, id), snapshot): (&(Text, Text), &Snapshot<T>)| {
        let mut row = MergedRow {
            entity_type: kind.to_string(),
            entity_id: id.to_string(),
            status: None,
            last_event_id: snapshot.event_id.as_str().to_owned(),
            precedence: snapshot.precedence.as_i64(),
            grown: Vec::new(),
            refund_status: None,
            is_audited: true,
        };
        describe(&mut row, &snapshot.entity);
        row
    };
    (table, rows.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use harkara_simulator::Bodies;

    use super::super::Expected;
    use super::{ExpectedRows, SentDelivery};

    #[test]
    fn a_row_counts_once_however_many_events_show_it() {
        let body = Bodies::new(7, 1_790_000_000).body("order.paid");
        let events = ["a", "b"].map(|id| SentDelivery::new(id, &body, Expected::Stored));
        let mut effects = ExpectedRows::default();
        effects.add(&[&events[0]]);
        effects.add(&[&events[1], &events[0]]);
        let counts = effects.rows().map(|(_, rows)| rows.len());
        assert_eq!(counts, [1, 1, 0, 0, 0]);
    }
}
