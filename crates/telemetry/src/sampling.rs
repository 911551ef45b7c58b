//! Which ordinary traces are kept.

use std::sync::atomic::{AtomicU64, Ordering};

/// Traces are kept by what their parent says, by their id, or both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    asks_parent: bool,
    /// Ids below this are kept, of 63 random bits.
    kept_below: u64,
}

/// One more than the largest number of 63 bits.
const BITS_63: f64 = 9_223_372_036_854_775_808.0;

impl Sampling {
    /// Whoever calls us decides; where nobody did, so large a part of all.
    pub(crate) fn by_parent(ratio: f64) -> Self {
        Self {
            asks_parent: true,
            ..Self::of_all(ratio)
        }
    }

    /// So large a part of all traces, whatever the caller says.
    pub(crate) fn of_all(ratio: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a ratio from 0 to 1 of 63 bits"
        )]
        let kept_below = (ratio * BITS_63) as u64;
        Self {
            asks_parent: false,
            kept_below,
        }
    }

    /// Whether a trace is kept. `parent` is what the caller decided, where there is a caller with a trace.
    ///
    /// It is decided by the same bits of the id as in other services that use the SDK for Rust, so that with
    /// the same ratio they keep the same traces.
    pub(crate) fn keeps(self, parent: Option<bool>, trace_id: u128) -> Kept {
        match parent.filter(|_| self.asks_parent) {
            Some(true) => Kept::AsCallerSays,
            Some(false) => Kept::No,
            None => {
                #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
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
    AsCallerSays,
    ByRatio,
}

/// So many a second, and no more.
#[derive(Debug)]
pub(crate) struct PerSecond {
    max: u32,
    /// The second in the upper half, how many it had in the lower.
    counted: AtomicU64,
}

impl PerSecond {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            max,
            counted: AtomicU64::new(0),
        }
    }

    /// Whether one more is within the bound in this second, of whatever clock.
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
    fn the_caller_decides_where_it_is_asked() {
        let asked = Sampling::by_parent(0.0);
        assert_eq!(asked.keeps(Some(true), 7), Kept::AsCallerSays);
        assert_eq!(asked.keeps(Some(false), 7), Kept::No);
        assert_eq!(asked.keeps(None, 7), Kept::No);
        let not_asked = Sampling::of_all(1.0);
        assert_eq!(not_asked.keeps(Some(false), 7), Kept::ByRatio);
    }

    #[test]
    fn a_ratio_keeps_that_part_of_all_ids() {
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
    fn a_second_has_so_many_and_the_next_as_many_again() {
        let bound = PerSecond::new(2);
        let admitted = [5, 5, 5, 6, 6, 6].map(|second| bound.admits(second));
        assert_eq!(admitted, [true, true, false, true, true, false]);
        assert!(!PerSecond::new(0).admits(1));
    }
}
