//! The judgement: what was sent against what is stored.

use std::collections::{BTreeSet, HashMap, HashSet};

use harkara_core::projection::Projection;
use harkara_storage::ledger::{Change, EventStatus};
use harkara_storage::verification::{
    DuplicateChange, HISTORY_TABLES, HistoryRow, Identity, MergedRow, MergedTable, StoredEvent,
};

use super::Audit;

/// Most faults that are told; all are counted.
const FAULTS_TOLD_MAX: usize = 20;

/// A delivery that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    /// Where it stands in the corpus.
    pub(super) at: usize,
    pub(super) event_id: &'a str,
    pub(super) digest: [u8; 32],
    /// Validly signed, and answered with a 2xx at least once. Without it, it may be stored or not.
    pub(super) accepted: bool,
    /// Badly signed: it must not be stored.
    pub(super) bad: bool,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    audit: Audit,
    /// What is there more than once, each counted once however often it shows.
    doubled: BTreeSet<String>,
    refused_stored: BTreeSet<String>,
}

impl Findings {
    /// Compares the ledger's rows; gives where in the corpus those stand that are there as they were sent
    /// and processed, and so must have had their effects.
    pub(super) fn compare_ledger(
        &mut self,
        sent: &[Sent<'_>],
        stored: &[StoredEvent],
    ) -> Vec<usize> {
        let mut rows_of: HashMap<&str, Vec<&StoredEvent>> = HashMap::new();
        for row in stored {
            rows_of.entry(&row.event_id).or_default().push(row);
        }
        let mut processed = Vec::new();
        for sent in sent {
            let rows = rows_of.get(sent.event_id).map_or(&[][..], Vec::as_slice);
            let id = sent.event_id;
            if sent.bad {
                if !rows.is_empty() {
                    self.refused_stored(id, format!("{id} was badly signed and is in the ledger"));
                }
                continue;
            }
            if rows.is_empty() && sent.accepted {
                self.audit.lost += 1;
                self.tell(format!("{id} was accepted and is not in the ledger"));
            }
            if rows.len() > 1 {
                self.doubled(id, format!("{id} has {} ledger rows", rows.len()));
            }
            let mut is_processed = false;
            for row in rows {
                self.audit.stored += 1;
                if let Some(durability) = &row.durability {
                    let count = self.audit.durability.entry(durability.clone());
                    *count.or_default() += 1;
                }
                if row.digest != sent.digest || !row.digest_is_right {
                    self.audit.altered += 1;
                    self.tell(format!(
                        "{id} is in the ledger with other bytes or another digest"
                    ));
                } else if row.status == EventStatus::Processed {
                    is_processed = true;
                }
                if row.status != EventStatus::Processed {
                    self.audit.unprocessed += 1;
                    self.tell(format!("{id} is {} and not processed", row.status));
                }
            }
            if is_processed {
                processed.push(sent.at);
            }
        }
        processed
    }

    /// No body may stand under another id than its own, and no id for a second body.
    pub(super) fn compare_identities(&mut self, sent: &[Sent<'_>], identities: &[Identity]) {
        let of_digest: HashMap<&[u8], &Sent<'_>> =
            sent.iter().map(|sent| (&sent.digest[..], sent)).collect();
        for identity in identities {
            let stored_as = &identity.event_id;
            match of_digest.get(&identity.digest[..]) {
                Some(sent) if sent.bad => {
                    let id = sent.event_id;
                    self.refused_stored(
                        id,
                        format!("{id} was badly signed and is known as {stored_as}"),
                    );
                }
                Some(sent) if sent.event_id != stored_as => {
                    let id = sent.event_id;
                    self.doubled(id, format!("the body of {id} is known as {stored_as}"));
                }
                Some(_) => {}
                None => {
                    let id = stored_as.split('~').next().unwrap_or(stored_as);
                    self.doubled(
                        id,
                        format!("{stored_as} is a second body under the id {id}"),
                    );
                }
            }
        }
    }

    /// Nothing may have changed by what was badly signed.
    pub(super) fn compare_refused(&mut self, changes: &[Change]) {
        for change in changes {
            let (id, table) = (&change.razorpay_event_id, &change.table_name);
            self.refused_stored(id, format!("{id} was badly signed and has changed {table}"));
        }
    }

    /// No body may be in two ledger rows.
    pub(super) fn compare_bodies(&mut self, sent: &[Sent<'_>], repeated: &[Vec<u8>]) {
        let repeated: HashSet<&[u8]> = repeated.iter().map(Vec::as_slice).collect();
        for sent in sent {
            if repeated.contains(&sent.digest[..]) {
                let id = sent.event_id;
                self.doubled(
                    id,
                    format!("the body of {id} is in more than one ledger row"),
                );
            }
        }
    }

    /// No change of status may be told twice.
    pub(super) fn compare_changes(&mut self, repeated: &[DuplicateChange]) {
        for change in repeated {
            let DuplicateChange {
                event_id,
                entity_type,
                entity_id,
                rows,
            } = change;
            self.doubled(
                event_id,
                format!("{rows} rows of audit_logs tell the change of {entity_type} {entity_id} by {event_id}"),
            );
        }
    }

    /// Each event of a family with a history must have its row.
    pub(super) fn compare_history(&mut self, projection: &Projection, found: &[HistoryRow]) {
        let found: HashSet<(&str, &str)> = found
            .iter()
            .map(|row| (row.table.as_str(), row.event_id.as_str()))
            .collect();
        for (table, event_ids) in HISTORY_TABLES.into_iter().zip(history_of(projection)) {
            for id in event_ids {
                if !found.contains(&(table, id)) {
                    self.doubled(id, format!("{id} is processed and has no row in {table}"));
                }
            }
        }
    }

    /// The merged rows must be what the law makes of the run's events.
    pub(super) fn compare_merged(
        &mut self,
        table: MergedTable,
        expected: &[MergedRow],
        found: &[MergedRow],
    ) {
        let found: HashMap<(&str, &str), &MergedRow> = found
            .iter()
            .map(|row| ((row.entity_type.as_str(), row.entity_id.as_str()), row))
            .collect();
        let table = table.name();
        for row in expected {
            let id = &row.entity_id;
            match found.get(&(row.entity_type.as_str(), id.as_str())) {
                None => self.doubled(id, format!("{id} has no row in {table}")),
                Some(found) if !found.is_audited => {
                    let fault = format!(
                        "no row of audit_logs tells how {id} in {table} came to its status"
                    );
                    self.doubled(id, fault);
                }
                Some(found) if *found != row => {
                    self.doubled(id, differs(table, row, found));
                }
                Some(_) => {}
            }
        }
    }

    /// All of it.
    pub(super) fn told(self, settled_ms: Option<u64>) -> Audit {
        Audit {
            doubled: self.doubled.len(),
            refused_stored: self.refused_stored.len(),
            settled_ms,
            ..self.audit
        }
    }

    fn doubled(&mut self, subject: &str, fault: String) {
        if self.doubled.insert(subject.to_owned()) {
            self.tell(fault);
        }
    }

    fn refused_stored(&mut self, event_id: &str, fault: String) {
        if self.refused_stored.insert(event_id.to_owned()) {
            self.tell(fault);
        }
    }

    fn tell(&mut self, fault: String) {
        if self.audit.faults.len() < FAULTS_TOLD_MAX {
            self.audit.faults.push(fault);
        }
    }
}

/// The events of the history tables, in their order.
fn history_of(projection: &Projection) -> [Vec<&str>; HISTORY_TABLES.len()] {
    fn ids<T>(rows: &[harkara_core::projection::Snapshot<T>]) -> Vec<&str> {
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

fn differs(table: &str, expected: &MergedRow, found: &MergedRow) -> String {
    let told = |row: &MergedRow| {
        let status = row.status.as_deref().unwrap_or("no status");
        format!(
            "{status} by {}, {:?} {:?}",
            row.last_event_id, row.grown, row.refund_status
        )
    };
    format!(
        "{} in {table} is {}, where its events give {}",
        expected.entity_id,
        told(found),
        told(expected)
    )
}

#[cfg(test)]
mod tests;
