//! The outcome of an event in a committed batch.

use harkara_storage::commit::CommittedBatch;
use harkara_storage::record::{EventRecord, Verdict};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventOutcome {
    Processed,
    Failed,
    Retried,
    /// It was known before and had no effect.
    Duplicate,
    /// Another worker settled its row in the meantime.
    Superseded,
    /// It waits for a table that cannot be written.
    Postponed,
}

/// The names of all outcomes, in order.
pub(crate) const OUTCOMES: [&str; 6] = [
    "processed",
    "failed",
    "retried",
    "duplicate",
    "superseded",
    "postponed",
];

impl EventOutcome {
    /// The outcome of the record at a position of a batch.
    pub(crate) fn of(batch: &CommittedBatch, at: usize, record: &EventRecord) -> Self {
        if batch.is_duplicate(at) {
            return Self::Duplicate;
        }
        if batch.is_superseded(at) {
            return Self::Superseded;
        }
        match record.verdict {
            Verdict::Project(_) => Self::Processed,
            Verdict::Fail { .. } => Self::Failed,
            Verdict::Postpone { .. } => Self::Postponed,
            // Only an inbox holds events.
            Verdict::Retry { .. } | Verdict::Defer => Self::Retried,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        OUTCOMES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use harkara_telemetry::catalogue::{Values, WORKER_EVENTS};

    use super::{EventOutcome, OUTCOMES};

    #[test]
    fn outcomes_match_the_catalogue() {
        assert_eq!(WORKER_EVENTS.labels[1].values, Values::OneOf(&OUTCOMES));
        assert_eq!(EventOutcome::Postponed.as_str(), "postponed");
    }
}
