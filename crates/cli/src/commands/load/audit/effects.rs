//! The merged rows that a run's events must have given, by the law of merging.

use std::collections::BTreeMap;

use harkara_core::entity::{Dispute, GenericEntity, Order, Payment, Refund};
use harkara_core::event;
use harkara_core::ids::EventId;
use harkara_core::money::MinorUnits;
use harkara_core::projection::{Merge, Projection, Snapshot, merge, project};
use harkara_core::text::Text;
use harkara_load::Corpus;
use harkara_storage::verification::{MergedRow, MergedTable};

type Rows<T> = BTreeMap<(Text, Text), Snapshot<T>>;

/// Every entity of the run, folded from the events that had their effects.
#[derive(Default)]
pub(super) struct Effects {
    orders: Rows<Order>,
    payments: Rows<Payment>,
    refunds: Rows<Refund>,
    disputes: Rows<Dispute>,
    states: Rows<GenericEntity>,
}

/// What a table must hold.
pub(super) struct Expected {
    pub(super) table: MergedTable,
    pub(super) rows: Vec<MergedRow>,
}

impl Effects {
    /// Adds deliveries of a corpus; gives what they alone make.
    pub(super) fn add(&mut self, corpus: &Corpus, deliveries: &[usize]) -> Projection {
        let events: Vec<_> = deliveries
            .iter()
            .filter_map(|&at| {
                let delivery = corpus.delivery(at);
                let event = event::read(delivery.body).ok()?;
                Some((EventId::stored(delivery.event_id), event))
            })
            .collect();
        let projection = project(events.iter().map(|(id, event)| (id, event)));
        let unnamed = Text::default();
        fold(&mut self.orders, &projection.orders, |e| {
            (unnamed.clone(), e.id.as_str().into())
        });
        fold(&mut self.payments, &projection.payments, |e| {
            (unnamed.clone(), e.id.as_str().into())
        });
        fold(&mut self.refunds, &projection.refunds, |e| {
            (unnamed.clone(), e.id.as_str().into())
        });
        fold(&mut self.disputes, &projection.disputes, |e| {
            (unnamed.clone(), e.id.as_str().into())
        });
        fold(&mut self.states, &projection.states, |e| {
            (e.kind.clone(), e.id.clone())
        });
        projection
    }

    /// The rows of each table.
    pub(super) fn rows(&self) -> [Expected; 5] {
        [
            expected(MergedTable::Orders, &self.orders, |row, order| {
                row.status = Some(order.status.to_string());
                row.grown = vec![
                    minor(order.amount_paid),
                    minor(order.amount_due),
                    order.attempts,
                ];
            }),
            expected(MergedTable::Payments, &self.payments, |row, payment| {
                row.status = Some(payment.status.to_string());
                row.grown = vec![minor(payment.amount_refunded)];
                row.refund_status = payment.refund_status.as_deref().map(str::to_owned);
            }),
            expected(MergedTable::Refunds, &self.refunds, |row, refund| {
                row.status = Some(refund.status.to_string());
            }),
            expected(MergedTable::Disputes, &self.disputes, |row, dispute| {
                row.status = Some(dispute.status.to_string());
            }),
            expected(MergedTable::Snapshots, &self.states, |row, state| {
                row.status = state.status.as_deref().map(str::to_owned);
            }),
        ]
    }
}

fn fold<T: Merge + Clone>(
    rows: &mut Rows<T>,
    more: &[Snapshot<T>],
    key: impl Fn(&T) -> (Text, Text),
) {
    for snapshot in more {
        let key = key(&snapshot.entity);
        let merged = match rows.remove(&key) {
            Some(held) => merge(held, snapshot.clone()),
            None => snapshot.clone(),
        };
        rows.insert(key, merged);
    }
}

fn expected<T>(
    table: MergedTable,
    rows: &Rows<T>,
    describe: impl Fn(&mut MergedRow, &T),
) -> Expected {
    let rows = rows.iter().map(|((kind, id), snapshot)| {
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
    });
    Expected {
        table,
        rows: rows.collect(),
    }
}

fn minor(amount: Option<MinorUnits>) -> Option<i64> {
    amount.map(|amount| amount.0)
}
