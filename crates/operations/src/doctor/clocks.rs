//! This machine's clock against those of both servers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::finding::{Area, Finding, Status};
use crate::wording::duration;

/// Clocks further apart are reported. NTP keeps machines within a tenth of it; no decision depends on it, but
/// what people read does.
const SKEW_MAX: Duration = Duration::from_secs(1);

/// Queries of a clock; the quickest answer counts, because it is the least uncertain. The first is slowed by
/// what a connection does only once.
const QUERIES: usize = 4;

/// How far another clock is ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skew {
    /// Microseconds; negative if it is behind.
    ahead_us: i64,
    /// The error of this in microseconds: half the round trip.
    uncertainty_us: u64,
}

impl Skew {
    /// The other clock showed `other_us`; it was asked at `asked_at_us` by ours, and answered within
    /// `round_trip`. Both times are microseconds since 1970.
    fn of(asked_at_us: i64, other_us: i64, round_trip: Duration) -> Self {
        let half = i64::try_from(round_trip.as_micros() / 2).unwrap_or(i64::MAX);
        Self {
            ahead_us: other_us.saturating_sub(asked_at_us.saturating_add(half)),
            uncertainty_us: half.unsigned_abs(),
        }
    }

    /// The least difference of the clocks; zero where they may agree.
    fn least(self) -> Duration {
        let ahead_us = self.ahead_us.unsigned_abs();
        Duration::from_micros(ahead_us.saturating_sub(self.uncertainty_us))
    }
}

/// Asks another clock a few times; `ask` returns its microseconds since 1970. Fails with the first error.
pub(super) async fn skew_of<E>(mut ask: impl AsyncFnMut() -> Result<i64, E>) -> Result<Skew, E> {
    let mut best: Option<Skew> = None;
    for _ in 0..QUERIES {
        let asked_at = since_1970_us();
        let started = Instant::now();
        let skew = Skew::of(asked_at, ask().await?, started.elapsed());
        if best.is_none_or(|best| skew.uncertainty_us < best.uncertainty_us) {
            best = Some(skew);
        }
    }
    Ok(best.expect("it was asked at least once"))
}

fn since_1970_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// Judges how far a server's clock is from this machine's, or why that is unknown.
pub(super) fn judged(server: &str, skew: Result<Skew, String>) -> Finding {
    let check = Area::Clocks.check(format!("{server} and this machine"));
    let skew = match skew {
        Ok(skew) => skew,
        Err(reason) => {
            return check.warning(
                format!("could not be compared: {reason}"),
                "run the check again when the server answers",
            );
        }
    };
    let apart = duration(Duration::from_micros(skew.ahead_us.unsigned_abs()));
    let direction = if skew.ahead_us < 0 { "behind" } else { "ahead" };
    let uncertainty = duration(Duration::from_micros(skew.uncertainty_us));
    let status = if skew.least() > SKEW_MAX {
        Status::Warning
    } else {
        Status::Ok
    };
    check.judged(
        status,
        format!("the server is {apart} {direction}, give or take {uncertainty}"),
        "synchronise both clocks by NTP: an ingress writes its own time into created_at, which selects the \
         month's partition",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(ahead_us: i64, uncertainty_us: u64) -> Skew {
        Skew {
            ahead_us,
            uncertainty_us,
        }
    }

    #[test]
    fn half_the_round_trip_is_subtracted_and_is_the_uncertainty() {
        for (asked_at_us, other_us, round_trip_ms, expected, least_us) in [
            (1_000_000, 1_000_500, 1, skew(0, 500), 0),
            (9_000_000, 2_000_000, 2, skew(-7_001_000, 1_000), 7_000_000),
            (0, 1_500, 2, skew(500, 1_000), 0),
        ] {
            let skew = Skew::of(asked_at_us, other_us, Duration::from_millis(round_trip_ms));
            assert_eq!(skew, expected);
            assert_eq!(skew.least(), Duration::from_micros(least_us));
        }
    }

    #[tokio::test]
    async fn a_clock_agrees_with_itself_and_the_first_error_is_returned() {
        let skew = skew_of(async || Ok::<_, ()>(since_1970_us()))
            .await
            .unwrap();
        assert!(skew.least() < Duration::from_millis(50));
        assert_eq!(skew_of(async || Err("away")).await, Err("away"));
    }

    #[test]
    fn clocks_are_reported_only_if_they_are_surely_apart() {
        for (skew, status) in [
            (skew(0, 100), Status::Ok),
            (skew(-900_000, 0), Status::Ok),
            (skew(1_400_000, 600_000), Status::Ok),
            (skew(-1_400_000, 100_000), Status::Warning),
            (skew(7_200_000_000, 100), Status::Warning),
        ] {
            assert_eq!(judged("Redis", Ok(skew)).status, status, "{skew:?}");
        }
        let found = judged("Redis", Ok(skew(-7_200_000_000, 100))).found;
        assert!(found.contains("2h behind"), "{found}");
        let unknown = judged("Redis", Err("NOPERM".to_owned()));
        assert_eq!(unknown.status, Status::Warning);
    }
}
