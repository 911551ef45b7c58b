//! The entries that this process holds, and the signs of life that keep others from taking them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::Lane;

/// Entries claimed and not yet acknowledged, in memory or on their way through a commit.
///
/// Redis counts an entry's idle time from its claim, however long it then waits for a database that
/// is away. So the holder renews its claims; see [`crate::reclaim`].
pub(crate) struct ActiveClaims(Mutex<Entries>);

struct Entries {
    all: HashSet<EntryRef>,
    /// Claimed, and not tried by any fault of their own: still waiting for a batch, or cut off by a stop.
    untried: HashSet<EntryRef>,
    /// Committed, and waiting for Redis to be acknowledged.
    committed: HashSet<EntryRef>,
    renewed_at: Instant,
}

impl ActiveClaims {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Entries {
            all: HashSet::new(),
            untried: HashSet::new(),
            committed: HashSet::new(),
            renewed_at: Instant::now(),
        }))
    }

    /// Holds entries that were read and wait for their batch.
    pub(crate) fn add_waiting(&self, entries: impl Iterator<Item = EntryRef> + Clone) {
        let mut held = self.lock();
        held.all.extend(entries.clone());
        held.untried.extend(entries);
    }

    /// Notes that entries were cut off on their way while a store was at work: no fault of theirs.
    pub(crate) fn excuse(&self, entries: impl Iterator<Item = EntryRef>) {
        self.lock().untried.extend(entries);
    }

    /// Whether an entry's last claim tells nothing about it.
    pub(crate) fn is_untried(&self, entry: EntryRef) -> bool {
        self.lock().untried.contains(&entry)
    }

    /// Holds entries until the guard is dropped: at the end of their way, and no less when it is cut
    /// off or ends in a panic, so that nothing is renewed which nobody works on.
    pub(crate) fn until_dropped(self: &Arc<Self>, entries: Vec<EntryRef>) -> ClaimGuard {
        let mut held = self.lock();
        for entry in &entries {
            held.all.insert(*entry);
            held.untried.remove(entry);
        }
        drop(held);
        ClaimGuard {
            held: self.clone(),
            entries,
            set: |held| &mut held.all,
        }
    }

    /// Holds committed entries until the guard is dropped, whatever becomes of their batch's own.
    pub(crate) fn committed_until_dropped(self: &Arc<Self>, entries: &[EntryRef]) -> ClaimGuard {
        self.lock().committed.extend(entries);
        ClaimGuard {
            held: self.clone(),
            entries: entries.to_vec(),
            set: |held| &mut held.committed,
        }
    }

    pub(crate) fn holds(&self, entry: EntryRef) -> bool {
        let held = self.lock();
        held.all.contains(&entry) || held.committed.contains(&entry)
    }

    /// The entries to renew, by lane.
    ///
    /// After a pause longer than `claim_idle` others may have taken them rightfully. Renewing would
    /// take them back and forth, so those entries are let go of: whoever commits first, wins.
    pub(crate) fn to_renew(&self, claim_idle: Duration) -> Vec<(Lane, Vec<EntryId>)> {
        let mut held = self.lock();
        if held.renewed_at.elapsed() >= claim_idle {
            held.all.clear();
            held.committed.clear();
        }
        held.renewed_at = Instant::now();
        Lane::ALL
            .into_iter()
            .map(|lane| {
                (
                    lane,
                    held.all
                        .union(&held.committed)
                        .filter(|e| e.lane == lane)
                        .map(|e| e.id)
                        .collect::<Vec<_>>(),
                )
            })
            .filter(|(_, ids)| !ids.is_empty())
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries held until this is dropped.
pub(crate) struct ClaimGuard {
    held: Arc<ActiveClaims>,
    entries: Vec<EntryRef>,
    set: fn(&mut Entries) -> &mut HashSet<EntryRef>,
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        let set = (self.set)(&mut held);
        for entry in &self.entries {
            set.remove(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use harkara_core::entry::{EntryId, EntryRef};
    use harkara_core::lane::Lane;

    use super::ActiveClaims;

    #[test]
    fn what_was_held_through_a_long_pause_is_let_go_of() {
        let entry = EntryRef {
            lane: Lane::Critical,
            id: EntryId::parse("1-0").unwrap(),
        };
        let held = ActiveClaims::new();
        held.add_waiting([entry].into_iter());
        assert_eq!(
            held.to_renew(Duration::from_hours(1)),
            [(Lane::Critical, vec![entry.id])]
        );
        assert_eq!(held.to_renew(Duration::ZERO), []);
        assert_eq!(held.to_renew(Duration::from_hours(1)), []);
    }

    #[test]
    fn what_waits_for_its_acknowledgement_is_held_when_its_batch_has_left_the_road() {
        let entry = EntryRef {
            lane: Lane::Critical,
            id: EntryId::parse("1-0").unwrap(),
        };
        let held = Arc::new(ActiveClaims::new());
        let on_the_road = held.until_dropped(vec![entry]);
        let waiting = held.committed_until_dropped(&[entry]);
        drop(on_the_road);
        assert!(held.holds(entry));
        let renewed = [(Lane::Critical, vec![entry.id])];
        assert_eq!(held.to_renew(Duration::from_hours(1)), renewed);
        drop(waiting);
        assert!(!held.holds(entry));
        assert_eq!(held.to_renew(Duration::from_hours(1)), []);
    }
}
