//! Compares what was sent with what is stored.

use std::collections::{HashMap, HashSet};

use harkara_core::projection::Projection;
use harkara_storage::ledger::{Change, EventStatus};
use harkara_storage::verification::{
    DuplicateChange, HISTORY_TABLES, HistoryRow, Identity, MergedRow, MergedTable, StoredEvent,
};

use super::expected_rows::history;
use super::{Expected, FAULTS_MAX, FaultKind, SentDelivery, Verification, VerificationFault};

/// The faults so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Verification,
    may_change: bool,
    /// Each event or entity counts once for each kind of fault, however often it shows.
    counted: HashSet<(FaultKind, String)>,
}

impl Findings {
    /// Compares ledger rows; returns the deliveries that are stored as sent and processed, and so must have
    /// had their effects.
    pub(super) fn compare_ledger<'s, 'a>(
        &mut self,
        sent: &'s [SentDelivery<'a>],
        stored: &[StoredEvent],
    ) -> Vec<&'s SentDelivery<'a>> {
        let mut rows_of: HashMap<&str, Vec<&StoredEvent>> = HashMap::new();
        for row in stored {
            rows_of.entry(&row.event_id).or_default().push(row);
        }
        let mut processed = Vec::new();
        for sent in sent {
            let id = sent.event_id;
            let rows = rows_of.get(id).map_or(&[][..], Vec::as_slice);
            if sent.expected == Expected::Nothing {
                if !rows.is_empty() {
                    self.refused_stored(sent, "is in the ledger");
                }
                continue;
            }
            self.may_change |= rows.iter().all(|row| row.status == EventStatus::Pending);
            if sent.expected == Expected::Stored && rows.is_empty() {
                let sentence = format!("{id} was accepted and is not in the ledger");
                self.fault(FaultKind::Lost, id, sentence);
            }
            if self.compare_stored(sent, rows) {
                processed.push(sent);
            }
        }
        processed
    }

    /// Compares the ledger rows of a valid delivery; returns whether one is processed as sent.
    fn compare_stored(&mut self, sent: &SentDelivery<'_>, rows: &[&StoredEvent]) -> bool {
        let id = sent.event_id;
        if rows.len() > 1 {
            let sentence = format!("{id} has {} ledger rows", rows.len());
            self.fault(FaultKind::Doubled, id, sentence);
        }
        let mut is_processed = false;
        for row in rows {
            self.found.stored += 1;
            if let Some(durability) = &row.durability {
                *self.found.durability.entry(durability.clone()).or_default() += 1;
            }
            if row.digest != sent.digest || !row.digest_is_right {
                let sentence = format!("{id} is in the ledger with other bytes or another digest");
                self.fault(FaultKind::Altered, id, sentence);
            } else if row.status == EventStatus::Processed {
                is_processed = true;
            }
            if row.status != EventStatus::Processed {
                let sentence = format!("{id} is {} and not processed", row.status);
                self.fault(FaultKind::Unprocessed, id, sentence);
            }
        }
        is_processed
    }

    /// No body may have another id than its own, and no id a second body.
    pub(super) fn compare_identities(
        &mut self,
        sent: &[SentDelivery<'_>],
        identities: &[Identity],
    ) {
        let by_digest: HashMap<&[u8], &SentDelivery<'_>> =
            sent.iter().map(|sent| (&sent.digest[..], sent)).collect();
        for identity in identities {
            let stored_as = &identity.event_id;
            match by_digest.get(&identity.digest[..]) {
                Some(sent) if sent.expected == Expected::Nothing => {
                    self.refused_stored(sent, &format!("is known as {stored_as}"));
                }
                Some(sent) if sent.event_id != stored_as => {
                    let id = sent.event_id;
                    let sentence = format!("the body of {id} is known as {stored_as}");
                    self.fault(FaultKind::Doubled, id, sentence);
                }
                Some(_) => {}
                None => {
                    let id = stored_as.split('~').next().unwrap_or(stored_as);
                    let sentence = format!("{stored_as} is a second body under the id {id}");
                    self.fault(FaultKind::Doubled, id, sentence);
                }
            }
        }
    }

    /// No delivery with a bad signature may have changed anything.
    pub(super) fn compare_refused(&mut self, changes: &[Change]) {
        for change in changes {
            let (id, table) = (&change.razorpay_event_id, &change.table_name);
            let sentence = format!("{id} was badly signed and has changed {table}");
            self.fault(FaultKind::RefusedStored, id, sentence);
        }
    }

    /// No body may be in two ledger rows.
    pub(super) fn compare_bodies(&mut self, sent: &[SentDelivery<'_>], duplicates: &[Vec<u8>]) {
        let duplicates: HashSet<&[u8]> = duplicates.iter().map(Vec::as_slice).collect();
        for sent in sent.iter().filter(|s| duplicates.contains(&s.digest[..])) {
            let id = sent.event_id;
            let sentence = format!("the body of {id} is in more than one ledger row");
            self.fault(FaultKind::Doubled, id, sentence);
        }
    }

    /// No change of status may be recorded twice.
    pub(super) fn compare_changes(&mut self, duplicates: &[DuplicateChange]) {
        for change in duplicates {
            let sentence = format!(
                "{} rows of audit_logs record the change of {} {} by {}",
                change.rows, change.entity_type, change.entity_id, change.event_id
            );
            self.fault(FaultKind::Doubled, &change.event_id, sentence);
        }
    }

    /// Each event of a family with a history must have its row.
    pub(super) fn compare_history(&mut self, projection: &Projection, found: &[HistoryRow]) {
        let found = found
            .iter()
            .map(|row| (row.table.as_str(), row.event_id.as_str()));
        let found: HashSet<(&str, &str)> = found.collect();
        for (table, event_ids) in HISTORY_TABLES.into_iter().zip(history(projection)) {
            for id in event_ids
                .into_iter()
                .filter(|id| !found.contains(&(table, *id)))
            {
                let sentence = format!("{id} is processed and has no row in {table}");
                self.fault(FaultKind::Doubled, id, sentence);
            }
        }
    }

    /// The merged rows must be what the law of merging makes of the events.
    pub(super) fn compare_merged(
        &mut self,
        table: MergedTable,
        expected: &[MergedRow],
        found: &[MergedRow],
    ) {
        let key = |row: &MergedRow| (row.entity_type.clone(), row.entity_id.clone());
        let found: HashMap<_, &MergedRow> = found.iter().map(|row| (key(row), row)).collect();
        let table = table.name();
        for row in expected {
            let id = &row.entity_id;
            let sentence = match found.get(&key(row)) {
                None => format!("{id} has no row in {table}"),
                Some(found) if !found.is_audited => {
                    format!("no row of audit_logs records how {id} in {table} came to its status")
                }
                Some(found) if *found != row => format!(
                    "{id} in {table} is {}, where its events give {}",
                    description(found),
                    description(row)
                ),
                Some(_) => continue,
            };
            self.fault(FaultKind::Doubled, id, sentence);
        }
    }

    /// The result, and whether a valid delivery has no settled row yet.
    pub(super) fn finish(self) -> (Verification, bool) {
        (self.found, self.may_change)
    }

    fn refused_stored(&mut self, sent: &SentDelivery<'_>, problem: &str) {
        let sentence = format!("{} was badly signed and {problem}", sent.event_id);
        self.fault(FaultKind::RefusedStored, sent.event_id, sentence);
    }

    fn fault(&mut self, kind: FaultKind, subject: &str, sentence: String) {
        if !self.counted.insert((kind, subject.to_owned())) {
            return;
        }
        let found = &mut self.found;
        *match kind {
            FaultKind::Lost => &mut found.lost,
            FaultKind::Altered => &mut found.altered,
            FaultKind::Doubled => &mut found.doubled,
            FaultKind::RefusedStored => &mut found.refused_stored,
            FaultKind::Unprocessed => &mut found.unprocessed,
        } += 1;
        if found.faults.len() < FAULTS_MAX {
            found.faults.push(VerificationFault { kind, sentence });
        }
    }
}

fn description(row: &MergedRow) -> String {
    let status = row.status.as_deref().unwrap_or("no status");
    let (event, grown, refund) = (&row.last_event_id, &row.grown, &row.refund_status);
    format!("{status} by {event}, {grown:?} {refund:?}")
}

#[cfg(test)]
mod tests;
