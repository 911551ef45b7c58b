//! Rates and durations of a run.

use std::time::Duration;

/// The scale of a run of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Deliveries per second.
    pub(crate) rate_per_s: u32,
    /// Undisturbed time at first. The fault begins within its second half.
    pub(crate) before: Duration,
    /// The duration of an ordinary fault: longer than an answer takes, which may wait for the fault's end.
    pub(crate) fault: Duration,
    /// The duration of a store's long outage.
    pub(crate) outage: Duration,
    /// How long processes are killed at random.
    pub(crate) kills: Duration,
    /// Undisturbed time at last.
    pub(crate) after: Duration,
    /// Clients without a valid signature that hold connections. A ninth of them pipelines, and four ninths send heads
    /// that do not end.
    pub(crate) strangers: usize,
    /// Deliveries per second beside strangers, which take most of the machine that servers, links and load share.
    pub(crate) rate_beside_strangers: u32,
    /// In which time deliveries are to be answered despite strangers.
    pub(crate) honest: Duration,
    /// How long a claimed entry stays with an unresponsive worker (`worker.claim_idle_ms`).
    pub(crate) claim_idle: Duration,
    /// How long the pipeline may take to process accepted deliveries, once all were sent.
    pub(crate) settle: Duration,
    /// When a delivery without a 2xx is sent again. In the long form that is longer than both stores are
    /// unavailable: thousands of senders per second that came back at the same time would wait for a connection
    /// of the generator, and that wait would count as the answer's. Razorpay waits for minutes.
    pub(crate) retry_after: Duration,
}

/// The scale at which the promises are demonstrated.
pub(crate) const LONG: Scale = Scale {
    rate_per_s: 2_000,
    before: Duration::from_secs(3),
    fault: Duration::from_secs(12),
    outage: Duration::from_mins(1),
    kills: Duration::from_mins(5),
    after: Duration::from_secs(4),
    strangers: 9_000,
    rate_beside_strangers: 500,
    honest: Duration::from_secs(1),
    claim_idle: Duration::from_secs(5),
    settle: Duration::from_mins(3),
    retry_after: Duration::from_secs(15),
};

/// The scale of the tests: a machine with two cores runs everything in a few minutes.
pub(crate) const SHORT: Scale = Scale {
    rate_per_s: 100,
    before: Duration::from_secs(1),
    fault: Duration::from_secs(5),
    outage: Duration::from_secs(4),
    kills: Duration::from_secs(8),
    after: Duration::from_secs(1),
    // A debug ingress beside the debug attackers and whatever else the machine does.
    strangers: 180,
    rate_beside_strangers: 100,
    // Debug binaries on a busy machine.
    honest: Duration::from_millis(2_500),
    claim_idle: Duration::from_millis(1_500),
    settle: Duration::from_mins(1),
    retry_after: Duration::from_secs(1),
};
