//! The entries that this process has claimed and not yet acknowledged.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::Lane;

/// Claimed entries, whether they wait for a batch, a commit or their acknowledgement.
///
/// Redis counts an entry's idle time from its claim, however long PostgreSQL is then unavailable, so
/// [`crate::membership`] renews these claims.
pub(crate) struct ActiveClaims(Mutex<Claims>);

struct Claims {
    all: HashSet<EntryRef>,
    /// Not processed through no fault of their own: waiting for a batch, or cut off by the stop deadline.
    untried: HashSet<EntryRef>,
    /// Committed and waiting for their acknowledgement.
    committed: HashSet<EntryRef>,
    renewed_at: Instant,
}

impl ActiveClaims {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Claims {
            all: HashSet::new(),
            untried: HashSet::new(),
            committed: HashSet::new(),
            renewed_at: Instant::now(),
        }))
    }

    /// Adds entries that were read and wait for their batch.
    pub(crate) fn add_waiting(&self, entries: impl Iterator<Item = EntryRef> + Clone) {
        let mut claims = self.lock();
        claims.all.extend(entries.clone());
        claims.untried.extend(entries);
    }

    /// Marks entries whose processing was cut off: their last claim is not to count.
    pub(crate) fn mark_untried(&self, entries: &[EntryRef]) {
        self.lock().untried.extend(entries);
    }

    /// Whether an entry's last claim does not count.
    pub(crate) fn is_untried(&self, entry: EntryRef) -> bool {
        self.lock().untried.contains(&entry)
    }

    /// Holds the claims of entries in processing until the guard is dropped, which a panic or a
    /// cancellation does too: no claim is renewed that nobody works on.
    pub(crate) fn hold(self: &Arc<Self>, entries: Vec<EntryRef>) -> ClaimGuard {
        let mut claims = self.lock();
        for entry in &entries {
            claims.all.insert(*entry);
            claims.untried.remove(entry);
        }
        drop(claims);
        ClaimGuard {
            claims: self.clone(),
            entries,
            set: |claims| &mut claims.all,
        }
    }

    /// Holds the claims of committed entries until the guard is dropped, independently of their batch's guard.
    pub(crate) fn hold_committed(self: &Arc<Self>, entries: &[EntryRef]) -> ClaimGuard {
        self.lock().committed.extend(entries);
        ClaimGuard {
            claims: self.clone(),
            entries: entries.to_vec(),
            set: |claims| &mut claims.committed,
        }
    }

    pub(crate) fn contains(&self, entry: EntryRef) -> bool {
        let claims = self.lock();
        claims.all.contains(&entry) || claims.committed.contains(&entry)
    }

    /// Returns the claims to renew, by lane.
    ///
    /// After a pause longer than `claim_idle` other workers may have reclaimed the entries. Renewing would
    /// take them back and forth, so their claims are given up: whoever commits first wins.
    pub(crate) fn to_renew(&self, claim_idle: Duration) -> Vec<(Lane, Vec<EntryId>)> {
        let mut claims = self.lock();
        if claims.renewed_at.elapsed() >= claim_idle {
            claims.all.clear();
            claims.committed.clear();
        }
        claims.renewed_at = Instant::now();
        let of_lane = |lane| {
            let entries = claims.all.union(&claims.committed);
            let ids = entries
                .filter(|entry| entry.lane == lane)
                .map(|entry| entry.id);
            (lane, ids.collect::<Vec<_>>())
        };
        let lanes = Lane::ALL.into_iter().map(of_lane);
        lanes.filter(|(_, ids)| !ids.is_empty()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Claims> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the claims of entries until it is dropped.
pub(crate) struct ClaimGuard {
    claims: Arc<ActiveClaims>,
    entries: Vec<EntryRef>,
    set: fn(&mut Claims) -> &mut HashSet<EntryRef>,
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        let mut claims = self.claims.lock();
        let set = (self.set)(&mut claims);
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

    const HOUR: Duration = Duration::from_hours(1);

    fn entry() -> EntryRef {
        EntryRef {
            lane: Lane::Critical,
            id: EntryId::parse("1-0").unwrap(),
        }
    }

    #[test]
    fn claims_are_given_up_after_a_long_pause() {
        let claims = ActiveClaims::new();
        claims.add_waiting([entry()].into_iter());
        assert_eq!(claims.to_renew(HOUR), [(Lane::Critical, vec![entry().id])]);
        assert_eq!(claims.to_renew(Duration::ZERO), []);
        assert_eq!(claims.to_renew(HOUR), []);
    }

    #[test]
    fn a_claim_outlives_its_batch_until_it_is_acknowledged() {
        let claims = Arc::new(ActiveClaims::new());
        let in_batch = claims.hold(vec![entry()]);
        let committed = claims.hold_committed(&[entry()]);
        drop(in_batch);
        assert!(claims.contains(entry()));
        assert_eq!(claims.to_renew(HOUR), [(Lane::Critical, vec![entry().id])]);
        drop(committed);
        assert!(!claims.contains(entry()));
        assert_eq!(claims.to_renew(HOUR), []);
    }
}
