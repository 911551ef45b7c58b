//! The one place where a process reads the wall clock for `core`, which reads none.

use std::time::{SystemTime, UNIX_EPOCH};

use harkara_core::time::ReceivedAt;

/// The current time, to the millisecond.
#[must_use]
pub fn now() -> ReceivedAt {
    // A clock before 1970 is a broken clock; 0 is what `ReceivedAt` holds it to anyway.
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    ReceivedAt::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
