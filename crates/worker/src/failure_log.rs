//! What the log tells of events that could not be applied: once their verdict is committed, one line each, up to
//! a bound.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::ids::EventId;
use harkara_storage::commit::CommittedBatch;
use harkara_storage::record::{EventRecord, Verdict};

/// Most lines in a second. Should every event fail, the log stays readable, and the ledger has them all.
const LINES_PER_S_MAX: u32 = 50;

const SECOND: Duration = Duration::from_secs(1);

/// Bounds the lines of a worker.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Bound>);

/// The lines of the present second.
#[derive(Debug, Default)]
struct Bound {
    since: Option<Instant>,
    lines: u32,
    /// Events without a line since the last that had one.
    untold: u64,
}

impl Failures {
    /// Tells of the events of a committed batch that were not applied. One that was known before, or that
    /// another worker settled meanwhile, is told of there.
    pub(crate) fn tell(&self, records: &[EventRecord], batch: &CommittedBatch) {
        let failed = records.iter().enumerate().filter(|(at, record)| {
            let is_failed = matches!(record.verdict, Verdict::Fail { .. } | Verdict::Retry { .. });
            is_failed && !batch.is_duplicate(*at) && !batch.is_superseded(*at)
        });
        for (at, record) in failed {
            let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(untold) = bound.line(Instant::now()) else {
                continue;
            };
            drop(bound);
            if untold > 0 {
                tracing::warn!(
                    events = untold,
                    "Events could not be applied and have no line each; the ledger has them all."
                );
            }
            line(record, batch.contested_id(at));
        }
    }
}

impl Bound {
    /// How many had no line before this one; `None` where this one has none either.
    fn line(&mut self, now: Instant) -> Option<u64> {
        if self
            .since
            .is_none_or(|since| now.duration_since(since) >= SECOND)
        {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES_PER_S_MAX {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

fn line(record: &EventRecord, contested_id: Option<&EventId>) {
    let claimed = &record.claimed;
    let event_id = contested_id.unwrap_or(&claimed.event_id);
    let ids = claimed.trace.ids();
    // A field whose value is `None` is left out.
    let trace_id = ids.map(|ids| format!("{:032x}", ids.trace_id));
    let span_id = ids.map(|ids| format!("{:016x}", ids.span_id));
    match &record.verdict {
        Verdict::Fail { error } => tracing::error!(
            event.id = %event_id,
            event.r#type = %claimed.event_type,
            lane = %claimed.lane,
            endpoint = %claimed.endpoint,
            attempt = claimed.attempts(),
            trace_id,
            span_id,
            error,
            "An event is a dead letter."
        ),
        Verdict::Retry { error, after } => tracing::warn!(
            event.id = %event_id,
            event.r#type = %claimed.event_type,
            lane = %claimed.lane,
            endpoint = %claimed.endpoint,
            attempt = claimed.attempts(),
            trace_id,
            span_id,
            error,
            again_in_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "An event could not be applied; it is tried again."
        ),
        Verdict::Hold | Verdict::Project(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_events_are_counted_and_told_of_with_the_next_line() {
        let mut bound = Bound::default();
        let begin = Instant::now();
        for _ in 0..LINES_PER_S_MAX {
            assert_eq!(bound.line(begin), Some(0));
        }
        assert_eq!(bound.line(begin), None);
        assert_eq!(bound.line(begin + SECOND / 2), None);
        assert_eq!(bound.line(begin + SECOND), Some(2));
        assert_eq!(bound.line(begin + SECOND), Some(0));
    }
}
