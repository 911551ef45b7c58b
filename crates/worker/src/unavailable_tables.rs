//! Tables that cannot be written: one that is locked, or that the role may not write, does not hold up the events
//! of the others. Its events wait in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harkara_storage::commit::CommittedBatch;
use harkara_storage::record::{EventRecord, Verdict};

use crate::outcome::EventOutcome;

/// Time between two batches that try a table which could not be written, and the shortest wait of its events.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// Postponed events that come due in a second: some try the table even if no new ones arrive, and a table that
/// is locked for hours does not keep workers busy.
const DUE_PER_S: u64 = 200;

/// Longest wait of a postponed event, should all workers that know of the table have ended.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// The tables that cannot be written now, as this worker knows. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(crate) struct UnavailableTables(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether there are any: all that a batch asks while there are none.
    any: AtomicBool,
    tables: Mutex<BTreeMap<&'static str, Unavailable>>,
    /// Tables that were written again, whose events have not been recalled yet.
    available_again: Mutex<BTreeSet<&'static str>>,
}

struct Unavailable {
    since: Instant,
    try_at: Instant,
    reason: String,
    /// Events postponed for the first time.
    postponed: u64,
}

impl UnavailableTables {
    /// Postpones the events of a batch that change an unavailable table. If it is time to try one, those of the
    /// batch that asks first are left as they are.
    pub(crate) fn postpone(&self, records: &mut [EventRecord]) {
        if !self.0.any.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let mut tables = self.tables();
        let mut tried = BTreeSet::new();
        for record in records {
            for table in record.tables() {
                let Some(unavailable) = tables.get_mut(table) else {
                    continue;
                };
                if unavailable.try_at <= now {
                    unavailable.try_at = now + TRY_EVERY;
                    tried.insert(table);
                }
                if !tried.contains(table) {
                    unavailable.postpone(table, record);
                    break;
                }
            }
        }
    }

    /// Adds a table that cannot be written, for this reason. Its events are postponed: those of the batch
    /// that failed, and those of batches to come.
    pub(crate) fn add(&self, table: &'static str, reason: &str, failed: &mut [EventRecord]) {
        let now = Instant::now();
        let mut tables = self.tables();
        let is_new = !tables.contains_key(table);
        let unavailable = tables.entry(table).or_insert_with(|| Unavailable {
            since: now,
            try_at: now,
            reason: String::new(),
            postponed: 0,
        });
        unavailable.try_at = now + TRY_EVERY;
        reason.clone_into(&mut unavailable.reason);
        // Events that are recalled now would only be postponed again.
        self.available_again().remove(table);
        for record in failed {
            if record.tables().contains(&table) {
                unavailable.postpone(table, record);
            }
        }
        self.0.any.store(true, Ordering::Relaxed);
        drop(tables);
        if is_new {
            tracing::warn!(
                table,
                error = reason,
                "A table cannot be written; its events wait in the ledger."
            );
        }
    }

    /// Takes notice of the tables that a batch wrote.
    pub(crate) fn committed(&self, records: &[EventRecord], batch: &CommittedBatch) {
        if !self.0.any.load(Ordering::Relaxed) {
            return;
        }
        let processed = records
            .iter()
            .enumerate()
            .filter(|(at, record)| EventOutcome::of(batch, *at, record) == EventOutcome::Processed);
        let written = processed.flat_map(|(_, record)| record.tables());
        let mut tables = self.tables();
        let again: Vec<_> = written
            .filter_map(|table| tables.remove_entry(table))
            .collect();
        self.0.any.store(!tables.is_empty(), Ordering::Relaxed);
        drop(tables);
        for (table, unavailable) in again {
            self.recall_later(table);
            tracing::info!(
                table,
                postponed = unavailable.postponed,
                unavailable_s = unavailable.since.elapsed().as_secs(),
                "A table can be written again; its events come first."
            );
        }
    }

    /// Each of them with the reason.
    pub(crate) fn reasons(&self) -> Vec<(&'static str, String)> {
        let tables = self.tables();
        let reasons = tables.iter();
        let reasons = reasons.map(|(table, unavailable)| (*table, unavailable.reason.clone()));
        reasons.collect()
    }

    /// Takes a table that was written again, to recall its events.
    pub(crate) fn take_available_again(&self) -> Option<&'static str> {
        self.available_again().pop_first()
    }

    /// Puts back a table of which more events are to be recalled, unless it cannot be written any more.
    pub(crate) fn recall_later(&self, table: &'static str) {
        let tables = self.tables();
        if !tables.contains_key(table) {
            self.available_again().insert(table);
        }
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<&'static str, Unavailable>> {
        let tables = self.0.tables.lock();
        tables.unwrap_or_else(PoisonError::into_inner)
    }

    fn available_again(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        let tables = self.0.available_again.lock();
        tables.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unavailable {
    fn postpone(&mut self, table: &'static str, record: &mut EventRecord) {
        if record.claimed.entry().is_some() {
            self.postponed += 1;
        }
        let wait = Duration::from_secs(self.postponed / DUE_PER_S);
        let wait = wait.clamp(TRY_EVERY, WAIT_MAX);
        record.verdict = Verdict::postpone(table, &self.reason, wait);
    }
}
