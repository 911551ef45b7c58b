//! How many deliveries and how long.

use std::time::Duration;

/// The size of a run of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Deliveries a second.
    pub(crate) rate_per_s: u32,
    /// Undisturbed at first. The fault begins within the second half of it.
    pub(crate) before: Duration,
    /// How long an ordinary fault lasts.
    pub(crate) fault: Duration,
    /// How long the outage of a store lasts that is to be survived for long.
    pub(crate) outage: Duration,
    /// How long processes are killed at random.
    pub(crate) kills: Duration,
    /// Undisturbed at last.
    pub(crate) after: Duration,
    /// How long a claimed entry stays with a worker that gives no sign of life
    /// (`worker.claim_idle_ms`).
    pub(crate) claim_idle: Duration,
    /// How long the pipeline may take to process what was accepted, once all was sent.
    pub(crate) settle: Duration,
    /// After how long what got no 2xx is sent again. In the long form that is longer than both stores are
    /// away: thousands of senders a second that came back at once would wait for a connection of the
    /// generator, and that wait would be taken for the answer's. Razorpay waits for minutes.
    pub(crate) retry_after: Duration,
}

/// The form in which the promises are shown.
pub(crate) const LONG: Extent = Extent {
    rate_per_s: 2_000,
    before: Duration::from_secs(3),
    fault: Duration::from_secs(12),
    outage: Duration::from_mins(1),
    kills: Duration::from_mins(5),
    after: Duration::from_secs(4),
    claim_idle: Duration::from_secs(5),
    settle: Duration::from_mins(3),
    retry_after: Duration::from_secs(15),
};

/// The form within the tests: seconds, so that a machine of two cores does all in a few minutes.
pub(crate) const SHORT: Extent = Extent {
    rate_per_s: 100,
    before: Duration::from_secs(1),
    fault: Duration::from_secs(3),
    outage: Duration::from_secs(4),
    kills: Duration::from_secs(8),
    after: Duration::from_secs(1),
    claim_idle: Duration::from_millis(1_500),
    settle: Duration::from_mins(1),
    retry_after: Duration::from_secs(1),
};
