//! Two clocks that must not be mixed: Razorpay's, in seconds, and ours, in milliseconds.

use std::time::Duration;

/// An instant by Razorpay's clock, in whole seconds since 1970. Never the receipt time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

/// When a delivery was received, by our clock, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedAt(i64);

/// The first second of the year 2100: anything later is not a Unix time in seconds.
const EVENT_TIME_SECONDS_MAX: i64 = 4_102_444_800;

/// The same instant in milliseconds, the bound of [`ReceivedAt`].
const RECEIVED_AT_MILLIS_MAX: i64 = EVENT_TIME_SECONDS_MAX * 1000;

impl EventTime {
    /// An instant. `None` for 0, which means "unset" in payment links, and for a number outside 1970 to 2100,
    /// which is not a time in seconds.
    #[must_use]
    pub(crate) fn from_seconds(seconds: i64) -> Option<Self> {
        (1..EVENT_TIME_SECONDS_MAX)
            .contains(&seconds)
            .then_some(Self(seconds))
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0
    }
}

impl ReceivedAt {
    /// An instant from milliseconds since 1970, clamped to 1970 to 2100 so that every store accepts it.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, RECEIVED_AT_MILLIS_MAX))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The time since another instant; zero if that is later, since the clocks of two machines differ.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}
