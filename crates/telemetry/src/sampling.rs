//! Which ordinary traces are kept.

use std::sync::atomic::{AtomicU64, Ordering};

/// Keeps traces by the decision of their caller, by their id, or both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    follows_caller: bool,
    /// Ids whose 63 random bits are below this are kept.
    kept_below: u64,
}

/// 2^63.
const BITS_63: f64 = 9_223_372_036_854_775_808.0;

impl Sampling {
    /// Follows the caller; of the traces without one, keeps this ratio.
    pub(crate) fn by_parent(ratio: f64) -> Self {
        Self {
            follows_caller: true,
            ..Self::of_all(ratio)
        }
    }

    /// Keeps this ratio of all traces, whatever the caller decided.
    pub(crate) fn of_all(ratio: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ratio is from 0 to 1"
        )]
        let kept_below = (ratio * BITS_63) as u64;
        Self {
            follows_caller: false,
            kept_below,
        }
    }

    /// Whether a trace is kept. `parent` is the caller's decision, if there is a caller with a trace.
    ///
    /// The ratio applies to the same bits of the id as in the SDK for Rust, so that services with the same
    /// ratio keep the same traces.
    pub(crate) fn keeps(self, parent: Option<bool>, trace_id: u128) -> Kept {
        match parent.filter(|_| self.follows_caller) {
            Some(true) => Kept::ByCaller,
            Some(false) => Kept::No,
            None => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "only the lower half counts"
                )]
                let bits = (trace_id as u64) >> 1;
                if bits < self.kept_below {
                    Kept::ByRatio
                } else {
                    Kept::No
                }
            }
        }
    }
}

/// Whether a trace is kept, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    No,
    ByCaller,
    ByRatio,
}

/// A rate limit, per second.
#[derive(Debug)]
pub(crate) struct PerSecond {
    max: u32,
    /// The second in the upper half, its count in the lower.
    counted: AtomicU64,
}

impl PerSecond {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            max,
            counted: AtomicU64::new(0),
        }
    }

    /// Whether the limit admits one more in this second (of any clock).
    pub(crate) fn admits(&self, second: u32) -> bool {
        let update = |counted: u64| {
            let (of, n) = (counted >> 32, counted & u64::from(u32::MAX));
            let n = if of == u64::from(second) { n } else { 0 };
            (n < u64::from(self.max)).then_some(u64::from(second) << 32 | (n + 1))
        };
        self.counted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, PerSecond, Sampling};

    #[test]
    fn the_caller_decides_if_sampling_follows_it() {
        let follows = Sampling::by_parent(0.0);
        assert_eq!(follows.keeps(Some(true), 7), Kept::ByCaller);
        assert_eq!(follows.keeps(Some(false), 7), Kept::No);
        assert_eq!(follows.keeps(None, 7), Kept::No);
        let ignores = Sampling::of_all(1.0);
        assert_eq!(ignores.keeps(Some(false), 7), Kept::ByRatio);
    }

    #[test]
    fn a_ratio_keeps_that_share_of_ids() {
        let quarter = Sampling::of_all(0.25);
        let step = u128::from(u64::MAX / 1000);
        let kept = (0..1000)
            .filter(|n| quarter.keeps(None, n * step) == Kept::ByRatio)
            .count();
        assert!((249..=251).contains(&kept), "{kept}");
        assert_eq!(Sampling::of_all(1.0).keeps(None, u128::MAX), Kept::ByRatio);
        assert_eq!(Sampling::of_all(0.0).keeps(None, 0), Kept::No);
    }

    #[test]
    fn each_second_admits_up_to_the_limit() {
        let bound = PerSecond::new(2);
        let admitted = [5, 5, 5, 6, 6, 6].map(|second| bound.admits(second));
        assert_eq!(admitted, [true, true, false, true, true, false]);
        assert!(!PerSecond::new(0).admits(1));
    }
}
