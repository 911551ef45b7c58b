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

/// Longest wait of a postponed event, should all workers that know of the table have ended: reached with some
/// 700,000 events, which come due at the rate above until then.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// The same for an event with an attempt, which is not recalled.
const WAIT_MAX_ATTEMPTED: Duration = Duration::from_mins(5);

/// Shortest time after which a table that no event has tried is forgotten.
const OUTDATED_AFTER: Duration = Duration::from_mins(5);

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
        self.forget_outdated(Instant::now());
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

    /// Forgets the tables of which nothing has reached this worker for long. An event that cannot be written adds
    /// its table again.
    fn forget_outdated(&self, now: Instant) {
        let mut tables = self.tables();
        let outdated = tables.extract_if(.., |_, unavailable| unavailable.is_outdated(now));
        let outdated: Vec<_> = outdated.map(|(table, _)| table).collect();
        self.0.any.store(!tables.is_empty(), Ordering::Relaxed);
        // Nothing is logged under the lock.
        drop(tables);
        for table in outdated {
            tracing::info!(
                table,
                "No event of an unavailable table came for long; it counts as available."
            );
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
        let max = match record.claimed.attempts() {
            0 | 1 => WAIT_MAX,
            _ => WAIT_MAX_ATTEMPTED,
        };
        let wait = self.wait().min(max);
        record.verdict = Verdict::postpone(table, &self.reason, wait);
    }

    /// The wait of an event that is postponed now: the longest so far.
    fn wait(&self) -> Duration {
        let wait = Duration::from_secs(self.postponed / DUE_PER_S);
        wait.clamp(TRY_EVERY, WAIT_MAX)
    }

    /// Whether all its events have come due since it was to be tried, and none reached this worker: others process
    /// them.
    fn is_outdated(&self, now: Instant) -> bool {
        now > self.try_at + self.wait().max(OUTDATED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_which_no_event_comes_is_forgotten() {
        let unavailable = UnavailableTables::default();
        unavailable.add("payment_disputes", "locked", &mut []);
        let forget = |after| {
            let now = Instant::now() + after;
            unavailable.forget_outdated(now);
        };
        forget(Duration::from_mins(4));
        assert_eq!(unavailable.reasons().len(), 1);
        forget(Duration::from_mins(6));
        assert_eq!(unavailable.reasons(), []);
    }

    #[test]
    fn as_many_events_come_due_in_a_second_however_many_wait() {
        for (postponed, seconds) in [(0, 2), (2_000, 10), (200_000, 1_000), (u64::MAX, 3_600)] {
            let now = Instant::now();
            let unavailable = Unavailable {
                since: now,
                try_at: now,
                reason: String::new(),
                postponed,
            };
            assert_eq!(
                unavailable.wait(),
                Duration::from_secs(seconds),
                "{postponed}"
            );
        }
    }
}
