//! When to try again, and when to stop: decisions only, the caller waits and acts.

use std::time::Duration;

/// Bounds of the retries of an event that failed unexpectedly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait before the second attempt.
    pub first: Duration,
    /// Longest wait between attempts.
    pub max: Duration,
    /// Attempts after which the event is given up.
    pub attempts_max: u32,
}

/// What to do after an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Try again after this long.
    RetryIn(Duration),
    /// No attempt is left.
    GiveUp,
}

impl RetryPolicy {
    /// Decides after the `attempts`-th attempt (counted from 1) failed. `jitter` is drawn by the
    /// caller from `0.0..1.0`.
    #[must_use]
    pub fn after_failure(&self, attempts: u32, jitter: f64) -> AfterFailure {
        if attempts >= self.attempts_max {
            return AfterFailure::GiveUp;
        }
        AfterFailure::RetryIn(backoff(self.first, self.max, attempts, jitter))
    }
}

/// The wait after the `failures`-th failure in a row: doubling from `first` up to `max`, of which a
/// random half is taken off so that many waiters do not return at once.
#[must_use]
pub fn backoff(first: Duration, max: Duration, failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = first.saturating_mul(1 << doublings).min(max);
    full.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0))
}

/// How to handle a pending entry taken over from another consumer, by how often it was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Its worker died once: most likely not because of it. Processed with others.
    None,
    /// Workers died with it more than once: processed alone, so that its neighbours do not suffer.
    Alone,
    /// It has had its chances: stored as failed without being looked at.
    SetAside,
}

/// Claims up to which an entry is processed together with others.
pub const CLAIMS_TOGETHER_MAX: u64 = 1;

/// Judges an entry by its claims so far. `claims_max` is the bound from the settings.
#[must_use]
pub fn suspicion(claims: u64, claims_max: u64) -> Suspicion {
    if claims >= claims_max {
        Suspicion::SetAside
    } else if claims > CLAIMS_TOGETHER_MAX {
        Suspicion::Alone
    } else {
        Suspicion::None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{AfterFailure, RetryPolicy, Suspicion, suspicion};

    proptest! {
        #[test]
        fn waits_grow_within_their_bounds_and_end(attempts in 1u32..200, jitter in 0.0f64..1.0) {
            let policy = RetryPolicy { first: Duration::from_secs(1), max: Duration::from_hours(1), attempts_max: 100 };
            match policy.after_failure(attempts, jitter) {
                AfterFailure::GiveUp => prop_assert!(attempts >= 100),
                AfterFailure::RetryIn(wait) => {
                    prop_assert!(attempts < 100);
                    prop_assert!(wait >= Duration::from_millis(500) && wait <= policy.max);
                }
            }
        }
    }

    #[test]
    fn an_entry_is_trusted_once_then_handled_alone_then_set_aside() {
        let judged: Vec<_> = (1..=5).map(|claims| suspicion(claims, 4)).collect();
        assert_eq!(
            judged,
            [
                Suspicion::None,
                Suspicion::Alone,
                Suspicion::Alone,
                Suspicion::SetAside,
                Suspicion::SetAside
            ]
        );
    }
}
