//! The entries that this process holds, and the signs of life that keep others from taking them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::Lane;

/// Entries claimed and not yet acknowledged, in memory or on their way through a commit.
///
/// Redis counts an entry's idle time from its claim, however long it then waits for a database that
/// is away. So the holder renews its claims; see [`crate::take_over`].
pub(crate) struct Held(Mutex<Entries>);

struct Entries {
    entries: HashSet<EntryRef>,
    renewed_at: Instant,
}

impl Held {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Entries {
            entries: HashSet::new(),
            renewed_at: Instant::now(),
        }))
    }

    pub(crate) fn add(&self, entries: impl IntoIterator<Item = EntryRef>) {
        self.lock().entries.extend(entries);
    }

    /// Holds entries until the guard is dropped: at the end of their way, and no less when it is cut
    /// off or ends in a panic, so that nothing is renewed which nobody works on.
    pub(crate) fn until_dropped(self: &Arc<Self>, entries: Vec<EntryRef>) -> Holding {
        self.add(entries.iter().copied());
        Holding {
            held: self.clone(),
            entries,
        }
    }

    pub(crate) fn holds(&self, entry: EntryRef) -> bool {
        self.lock().entries.contains(&entry)
    }

    /// The entries to renew, by lane.
    ///
    /// After a pause longer than `claim_idle` others may have taken them rightfully. Renewing would
    /// take them back and forth, so those entries are let go of: whoever commits first, wins.
    pub(crate) fn to_renew(&self, claim_idle: Duration) -> Vec<(Lane, Vec<EntryId>)> {
        let mut held = self.lock();
        if held.renewed_at.elapsed() >= claim_idle {
            held.entries.clear();
        }
        held.renewed_at = Instant::now();
        Lane::ALL
            .into_iter()
            .map(|lane| {
                (
                    lane,
                    held.entries
                        .iter()
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

/// Entries on their way; see [`Held::until_dropped`].
pub(crate) struct Holding {
    held: Arc<Held>,
    entries: Vec<EntryRef>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        for entry in &self.entries {
            held.entries.remove(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use harkara_core::entry::{EntryId, EntryRef};
    use harkara_core::lane::Lane;

    use super::Held;

    #[test]
    fn what_was_held_through_a_long_pause_is_let_go_of() {
        let entry = EntryRef {
            lane: Lane::Critical,
            id: EntryId::parse("1-0").unwrap(),
        };
        let held = Held::new();
        held.add([entry]);
        assert_eq!(
            held.to_renew(Duration::from_hours(1)),
            [(Lane::Critical, vec![entry.id])]
        );
        assert_eq!(held.to_renew(Duration::ZERO), []);
        assert_eq!(held.to_renew(Duration::from_hours(1)), []);
    }
}
