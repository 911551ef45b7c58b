//! Section `worker`.

use std::net::SocketAddr;
use std::time::Duration;

use harkara_core::lane::LANES;

use crate::catalogue::{
    DAY_MS, HOUR_MS, LANE_WEIGHT_MAX, MINUTE_MS, Setting, SettingKind, bytes, count, millis,
    setting,
};
use crate::instance;
use crate::reader::SettingsReader;

/// Section `worker`.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Where probes and metrics are served.
    pub admin_bind: SocketAddr,
    /// The consumer name, never empty.
    pub consumer: String,
    /// Maximum entries in one transaction.
    pub batch_entries_max: usize,
    /// Maximum bytes of entries in one transaction, in one read of a lane, and in one lease.
    pub batch_bytes_max: usize,
    /// Maximum batches in flight.
    pub batches_in_flight_max: usize,
    /// How long a partial batch gathers after the previous batch started.
    pub gather: Duration,
    /// How long one read waits for new entries.
    pub read_wait: Duration,
    /// Idle time after which a pending entry is reclaimed.
    pub claim_idle: Duration,
    /// Time between two searches for entries to reclaim.
    pub reclaim_every: Duration,
    /// Claims after which an entry is dead-lettered.
    pub claims_max: u32,
    /// Attempts after which an event is dead-lettered.
    pub attempts_max: u32,
    /// Wait before the second attempt.
    pub backoff_first: Duration,
    /// Longest wait between attempts.
    pub backoff_max: Duration,
    /// Time between two polls of the ledger.
    pub ledger_poll: Duration,
    /// How long a lease of a ledger row lasts.
    pub lease: Duration,
    /// Idle time after which an empty consumer is removed.
    pub consumer_idle: Duration,
    /// Weights of the lanes, in the order of `Lane::ALL`, each at least 1.
    pub lane_weights: [usize; LANES],
    /// Bound of a graceful shutdown.
    pub stop_deadline: Duration,
}

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("worker.admin_bind", "0.0.0.0:9081", SettingKind::Address,
        "Where the worker serves `/livez`, `/readyz`, `/metrics` and `/backlog`. Port 0 picks a free port."),
    setting("worker.consumer", "", SettingKind::Text,
        "The worker's consumer name, unique among the processes of the group. Empty derives `<host name>-<process id>`."),
    setting("worker.batch_entries_max", "400", count(4, 10_000),
        "Maximum number of entries committed in one transaction. At least the number of lanes, so that none starves."),
    setting("worker.batch_bytes_max", "4194304", bytes(65_536, 1 << 28),
        "Maximum bytes of entries or bodies committed in one transaction, beyond one entry of each lane. Reads, leases and reclaimed entries have this bound too, and so the memory of a worker is bounded."),
    setting("worker.batches_in_flight_max", "2", count(1, 64),
        "Maximum number of batches that a worker commits concurrently."),
    setting("worker.gather_ms", "20", millis(0, 10_000),
        "How long a worker gathers a partial batch after the previous batch started. 0 starts a batch with the entries that are available. The first delivery after a quiet time never waits."),
    setting("worker.read_wait_ms", "1000", millis(1, MINUTE_MS),
        "How long one read waits for new entries before it returns empty."),
    setting("worker.claim_idle_ms", "60000", millis(1, DAY_MS),
        "How long an entry may stay pending without a heartbeat from its worker before another reclaims it."),
    setting("worker.reclaim_every_ms", "5000", millis(1, HOUR_MS),
        "How often a worker looks for entries to reclaim."),
    setting("worker.claims_max", "5", count(3, 1000),
        "Claims of an entry without an acknowledgement after which it becomes a dead letter: it probably crashes its workers."),
    setting("worker.attempts_max", "10", count(1, 1000),
        "Attempts to apply an event, the first included, before it becomes a dead letter."),
    setting("worker.backoff_first_ms", "1000", millis(1, DAY_MS),
        "The wait before the second attempt; it doubles with each further one."),
    setting("worker.backoff_max_ms", "3600000", millis(1, 30 * DAY_MS),
        "The longest wait between two attempts. At least `worker.backoff_first_ms`."),
    setting("worker.ledger_poll_ms", "1000", millis(1, HOUR_MS),
        "How often a worker looks for due rows in the ledger."),
    setting("worker.lease_ms", "60000", millis(1, DAY_MS),
        "How long a worker may hold a ledger row before another takes it. Rows of a killed worker are due again by then."),
    setting("worker.consumer_idle_ms", "3600000", millis(1, 30 * DAY_MS),
        "How long a consumer with nothing pending may be idle before it is removed. More than `worker.claim_idle_ms`, and at least three times `worker.read_wait_ms`."),
    setting("worker.lane_weights", "8,4,2,1", SettingKind::Weights,
        "Shares of the lanes critical, medium, normal and default in a batch when all have entries waiting."),
    setting("worker.stop_deadline_ms", "25000", millis(0, HOUR_MS),
        "How long batches in flight may take to finish during a shutdown."),
];

/// A consumer is removed only after this many read waits, so that a worker that merely waits for entries is
/// never mistaken for a dead one.
const READ_WAITS_PER_CONSUMER_IDLE_MIN: u32 = 3;

impl WorkerSettings {
    /// How long a live worker may show no sign of life: within this time it reads, renews its claims, or
    /// asks for them.
    #[must_use]
    pub fn quiet_max(&self) -> Duration {
        self.claim_idle + self.read_wait
    }

    pub(crate) fn read(r: &mut SettingsReader) -> Self {
        let worker = Self {
            admin_bind: r.address("worker.admin_bind"),
            consumer: r.value("worker.consumer", |text| match text {
                "" => Some(instance::name()),
                name => Some(name.to_owned()),
            }),
            batch_entries_max: r.whole("worker.batch_entries_max"),
            batch_bytes_max: r.whole("worker.batch_bytes_max"),
            batches_in_flight_max: r.whole("worker.batches_in_flight_max"),
            gather: r.millis("worker.gather_ms"),
            read_wait: r.millis("worker.read_wait_ms"),
            claim_idle: r.millis("worker.claim_idle_ms"),
            reclaim_every: r.millis("worker.reclaim_every_ms"),
            claims_max: r.whole("worker.claims_max"),
            attempts_max: r.whole("worker.attempts_max"),
            backoff_first: r.millis("worker.backoff_first_ms"),
            backoff_max: r.millis("worker.backoff_max_ms"),
            ledger_poll: r.millis("worker.ledger_poll_ms"),
            lease: r.millis("worker.lease_ms"),
            consumer_idle: r.millis("worker.consumer_idle_ms"),
            lane_weights: r.value("worker.lane_weights", lane_weights),
            stop_deadline: r.millis("worker.stop_deadline_ms"),
        };
        worker.check_relations(r);
        worker
    }

    fn check_relations(&self, r: &mut SettingsReader) {
        r.relation(
            &["worker.consumer_idle_ms", "worker.read_wait_ms"],
            self.consumer_idle >= self.read_wait * READ_WAITS_PER_CONSUMER_IDLE_MIN,
            "must be at least three times worker.read_wait_ms: a read is a waiting worker's only sign of life",
        );
        r.relation(
            &["worker.backoff_max_ms", "worker.backoff_first_ms"],
            self.backoff_max >= self.backoff_first,
            "must be at least worker.backoff_first_ms",
        );
        r.relation(
            &["worker.consumer_idle_ms", "worker.claim_idle_ms"],
            self.consumer_idle > self.claim_idle,
            "must be more than worker.claim_idle_ms, so that entries are reclaimed before their consumer is removed",
        );
    }
}

fn lane_weights(text: &str) -> Option<[usize; LANES]> {
    let weights = text.split(',').map(|weight| weight.trim().parse().ok());
    let weights: Option<Vec<usize>> = weights.collect();
    let in_bounds =
        |weights: &[usize; LANES]| weights.iter().all(|w| (1..=LANE_WEIGHT_MAX).contains(w));
    weights?.try_into().ok().filter(in_bounds)
}
