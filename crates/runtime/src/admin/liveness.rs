//! Liveness: whether the loops of the process make progress.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The loops of a process that must keep moving. Cheap to clone; clones share the loops.
#[derive(Clone, Default)]
pub struct Liveness(Arc<Mutex<Vec<Weak<Loop>>>>);

/// A loop touches it in each iteration. Dropping it removes the loop: one that has ended is not stuck.
pub struct Progress(Arc<Loop>);

struct Loop {
    name: String,
    quiet_max: Duration,
    started_at: Instant,
    touched_ms_after_start: AtomicU64,
}

impl Liveness {
    /// Adds a loop, which is stuck if it was not touched for `quiet_max`.
    #[must_use]
    pub fn watch(&self, name: impl Into<String>, quiet_max: Duration) -> Progress {
        let watched = Arc::new(Loop {
            name: name.into(),
            quiet_max,
            started_at: Instant::now(),
            touched_ms_after_start: AtomicU64::new(0),
        });
        let mut loops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loops.retain(|other| other.strong_count() > 0);
        loops.push(Arc::downgrade(&watched));
        Progress(watched)
    }

    /// The names of the loops that are stuck.
    pub(super) fn stale(&self) -> Vec<String> {
        let loops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = loops
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|watched| watched.is_stuck());
        stuck.map(|watched| watched.name.clone()).collect()
    }
}

impl Progress {
    /// Records progress. Costs a clock reading and one atomic store.
    pub fn touch(&self) {
        let now_ms = self.0.age_ms();
        self.0
            .touched_ms_after_start
            .store(now_ms, Ordering::Relaxed);
    }
}

impl Loop {
    fn is_stuck(&self) -> bool {
        let touched = self.touched_ms_after_start.load(Ordering::Relaxed);
        Duration::from_millis(self.age_ms().saturating_sub(touched)) > self.quiet_max
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Liveness;

    #[test]
    fn a_stalled_loop_is_stuck_until_it_progresses_or_ends() {
        let liveness = Liveness::default();
        let _moving = liveness.watch("moving", Duration::from_hours(1));
        let standing = liveness.watch("standing", Duration::ZERO);
        let bound = Instant::now() + Duration::from_secs(5);
        while liveness.stale().is_empty() && Instant::now() < bound {
            std::thread::yield_now();
        }
        assert_eq!(liveness.stale(), ["standing"]);
        drop(standing);
        assert_eq!(liveness.stale(), Vec::<String>::new());
    }
}
