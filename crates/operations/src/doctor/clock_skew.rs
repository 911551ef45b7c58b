//! How far another clock is from ours, told by asking it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Questions asked; the one with the quickest answer counts, since its answer is the least uncertain. The
/// first is slowed by what a connection does only once.
const QUESTIONS: usize = 4;

/// How far another clock is ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skew {
    /// Microseconds; negative where it is behind.
    pub(super) ahead_us: i64,
    /// By how many microseconds that may be wrong: half of the time that question and answer took.
    pub(super) uncertainty_us: u64,
}

impl Skew {
    /// The other clock told `told_us`; it was asked at `asked_at_us` by ours, and answered within
    /// `round_trip`. Both times are microseconds since 1970.
    fn of(asked_at_us: i64, told_us: i64, round_trip: Duration) -> Self {
        let half = round_trip.as_micros() / 2;
        let half = i64::try_from(half).unwrap_or(i64::MAX);
        Self {
            ahead_us: told_us.saturating_sub(asked_at_us.saturating_add(half)),
            uncertainty_us: half.unsigned_abs(),
        }
    }

    /// The least by which the clocks are apart, in microseconds: 0 where they may agree.
    pub(super) fn least_us(self) -> u64 {
        self.ahead_us
            .unsigned_abs()
            .saturating_sub(self.uncertainty_us)
    }
}

/// Asks another clock a few times; `ask` gives its microseconds since 1970. The error is the first of `ask`.
pub(super) async fn skew_of<E>(mut ask: impl AsyncFnMut() -> Result<i64, E>) -> Result<Skew, E> {
    let mut best: Option<Skew> = None;
    for _ in 0..QUESTIONS {
        let asked_at = since_1970_us();
        let started = Instant::now();
        let told = ask().await?;
        let skew = Skew::of(asked_at, told, started.elapsed());
        let is_better = |best: Skew| skew.uncertainty_us < best.uncertainty_us;
        if best.is_none_or(is_better) {
            best = Some(skew);
        }
    }
    Ok(best.expect("it was asked at least once"))
}

fn since_1970_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_round_trip_is_taken_off_and_is_what_nobody_knows() {
        let skew = Skew::of(1_000_000, 1_000_500, Duration::from_millis(1));
        assert_eq!((skew.ahead_us, skew.uncertainty_us), (0, 500));
        let behind = Skew::of(9_000_000, 2_000_000, Duration::from_millis(2));
        assert_eq!(behind.ahead_us, -7_001_000);
        assert_eq!(behind.least_us(), 7_000_000);
    }

    #[test]
    fn clocks_that_may_agree_are_not_apart() {
        let skew = Skew::of(0, 1_500, Duration::from_millis(2));
        assert_eq!((skew.ahead_us, skew.least_us()), (500, 0));
    }

    #[tokio::test]
    async fn the_same_clock_is_not_apart_from_itself_and_the_first_failure_is_told() {
        let skew = skew_of(async || Ok::<_, ()>(since_1970_us()));
        assert!(skew.await.unwrap().least_us() < 50_000);
        assert_eq!(skew_of(async || Err("away")).await, Err("away"));
    }
}
