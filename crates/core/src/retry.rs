//! When to retry and when to give up. These are decisions only; the caller waits and acts.

use std::time::Duration;

/// Bounds on the retries of an event that failed unexpectedly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait before the second attempt.
    pub first: Duration,
    /// Longest wait between attempts.
    pub max: Duration,
    /// Attempts after which the event becomes a dead letter.
    pub attempts_max: u32,
}

/// What to do after an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Retry after this long.
    RetryIn(Duration),
    /// No attempt is left.
    GiveUp,
}

impl RetryPolicy {
    /// Decides what follows the `attempts`-th failed attempt (counted from 1). The caller draws `jitter`
    /// from `0.0..1.0`.
    #[must_use]
    pub fn after_failure(&self, attempts: u32, jitter: f64) -> AfterFailure {
        if attempts >= self.attempts_max {
            return AfterFailure::GiveUp;
        }
        AfterFailure::RetryIn(backoff(self.first, self.max, attempts, jitter))
    }
}

/// The wait after the `failures`-th failure in a row. It doubles from `first` up to `max`; jitter takes
/// off up to half of it, so that many waiters do not return together.
#[must_use]
pub fn backoff(first: Duration, max: Duration, failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = first.saturating_mul(1 << doublings).min(max);
    full.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0))
}

/// How to process a reclaimed entry, by how often it was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// In a batch: its worker died once, most likely not because of this entry.
    Batched,
    /// In a batch of its own: several workers died with it, and its neighbours must not suffer.
    Alone,
    /// Not at all: it becomes a dead letter.
    DeadLetter,
}

/// Claims up to which an entry is processed in a batch with others.
const CLAIMS_BATCHED_MAX: u64 = 1;

/// Decides how to process an entry from its claims so far. `claims_max` is the bound from the settings.
#[must_use]
pub fn handling(claims: u64, claims_max: u64) -> Handling {
    if claims >= claims_max {
        Handling::DeadLetter
    } else if claims > CLAIMS_BATCHED_MAX {
        Handling::Alone
    } else {
        Handling::Batched
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{AfterFailure, Handling, RetryPolicy, handling};

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
    fn an_entry_is_batched_once_then_processed_alone_then_dead_lettered() {
        use Handling::{Alone, Batched, DeadLetter};
        let decided: Vec<_> = (1..=5).map(|claims| handling(claims, 4)).collect();
        assert_eq!(decided, [Batched, Alone, Alone, DeadLetter, DeadLetter]);
    }
}
