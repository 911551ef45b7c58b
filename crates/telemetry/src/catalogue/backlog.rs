//! Metrics of the backlog, which every process tells alike. What is not known has no sample.

use super::{Kind, Label, Metric, metric, one_of};

const LANE: Label = one_of("lane", &["critical", "medium", "normal", "default"]);

const fn of_lane(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Gauge, &[LANE], help)
}

/// Whether the backlog is known.
pub const BACKLOG_COMPLETE: Metric = metric(
    "harkara_backlog_complete",
    Kind::Gauge,
    &[],
    "1 where the backlog is known, 0 where something could not be asked",
);

/// Entries of the stream.
pub const BACKLOG_ENTRIES: Metric = of_lane(
    "harkara_backlog_entries",
    "Entries in the stream, claimed or not",
);

/// Pending entries.
pub const BACKLOG_PENDING: Metric = of_lane(
    "harkara_backlog_pending",
    "Entries that a consumer has claimed and that are not committed yet",
);

/// Due rows of the ledger.
pub const BACKLOG_LEDGER_DUE: Metric = of_lane(
    "harkara_backlog_ledger_due",
    "Pending rows of the ledger that are due",
);

/// The age of the oldest.
pub const BACKLOG_OLDEST_AGE_SECONDS: Metric = of_lane(
    "harkara_backlog_oldest_age_seconds",
    "Time since the oldest entry was appended or the first row came due; 0 without any",
);

/// What comes.
pub const BACKLOG_ARRIVALS_PER_SECOND: Metric = of_lane(
    "harkara_backlog_arrivals_per_second",
    "What came in a second, mean of the last half minute",
);

/// What leaves.
pub const BACKLOG_DRAINED_PER_SECOND: Metric = of_lane(
    "harkara_backlog_drained_per_second",
    "What left in a second, mean of the last half minute",
);

/// The time to drain.
pub const BACKLOG_SECONDS_TO_DRAIN: Metric = of_lane(
    "harkara_backlog_seconds_to_drain",
    "How long the backlog takes at the present rate; no sample where nothing leaves",
);

/// Consumers of the group.
pub const BACKLOG_CONSUMERS: Metric = metric(
    "harkara_backlog_consumers",
    Kind::Gauge,
    &[one_of("state", &["alive", "stale"])],
    "Consumers of the group: alive, or silent for so long that others reclaim their entries",
);

/// Dead letters.
pub const BACKLOG_DEAD_LETTERS: Metric = metric(
    "harkara_backlog_dead_letters",
    Kind::Gauge,
    &[],
    "Events of the ledger with status failed; up to 20,000 are counted",
);

/// All of them.
pub(super) const BACKLOG: &[&Metric] = &[
    &BACKLOG_COMPLETE,
    &BACKLOG_ENTRIES,
    &BACKLOG_PENDING,
    &BACKLOG_LEDGER_DUE,
    &BACKLOG_OLDEST_AGE_SECONDS,
    &BACKLOG_ARRIVALS_PER_SECOND,
    &BACKLOG_DRAINED_PER_SECOND,
    &BACKLOG_SECONDS_TO_DRAIN,
    &BACKLOG_CONSUMERS,
    &BACKLOG_DEAD_LETTERS,
];
