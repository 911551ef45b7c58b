//! Metrics of the backlog, the same in every process. An unknown value has no sample.

use super::{LANE, metrics, one_of};

metrics! { BACKLOG:
    BACKLOG_COMPLETE = Gauge "harkara_backlog_complete" []
        "1 if the backlog is known completely, 0 if a store did not answer";
    BACKLOG_ENTRIES = Gauge "harkara_backlog_entries" [LANE]
        "Entries in the stream, claimed or not";
    BACKLOG_PENDING = Gauge "harkara_backlog_pending" [LANE]
        "Entries that are claimed and not yet committed";
    BACKLOG_LEDGER_DUE = Gauge "harkara_backlog_ledger_due" [LANE]
        "Pending rows of the ledger that are due";
    BACKLOG_OLDEST_AGE_SECONDS = Gauge "harkara_backlog_oldest_age_seconds" [LANE]
        "Age of the oldest entry or due row; 0 without any";
    BACKLOG_ARRIVALS_PER_SECOND = Gauge "harkara_backlog_arrivals_per_second" [LANE]
        "Arrivals per second, averaged over the last 30 seconds";
    BACKLOG_DRAINED_PER_SECOND = Gauge "harkara_backlog_drained_per_second" [LANE]
        "Departures per second, averaged over the last 30 seconds";
    BACKLOG_SECONDS_TO_DRAIN = Gauge "harkara_backlog_seconds_to_drain" [LANE]
        "Time to drain the backlog at the current rate; no sample if nothing drains";
    BACKLOG_CONSUMERS = Gauge "harkara_backlog_consumers" [one_of("state", &["alive", "stale"])]
        "Consumers of the group, by state: alive, or silent for so long that others reclaim their entries";
    BACKLOG_DEAD_LETTERS = Gauge "harkara_backlog_dead_letters" []
        "Dead letters in the ledger, counted up to 20,000";
}
