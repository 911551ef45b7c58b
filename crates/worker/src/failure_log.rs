//! Logs the events that could not be applied, once their verdict is committed: one line each, up to a bound.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::ids::EventId;
use harkara_storage::commit::CommittedBatch;
use harkara_storage::record::{EventRecord, Verdict};

use crate::outcome::EventOutcome;

/// Maximum lines in a second. Should every event fail, the log stays readable, and the ledger has them all.
const LINES_PER_S_MAX: u32 = 50;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct FailureLog(Mutex<LogLimit>);

/// The lines of the current second.
#[derive(Debug, Default)]
struct LogLimit {
    since: Option<Instant>,
    lines: u32,
    /// Events without a line since the last line.
    suppressed: u64,
}

impl FailureLog {
    /// Logs the events of a committed batch that were not applied, except those that another batch logs: known
    /// events, and rows that another worker settled.
    pub(crate) fn log(&self, records: &[EventRecord], batch: &CommittedBatch) {
        for (at, record) in records.iter().enumerate() {
            if matches!(record.verdict, Verdict::Project(_)) {
                continue;
            }
            let outcome = EventOutcome::of(batch, at, record);
            if !matches!(outcome, EventOutcome::Failed | EventOutcome::Retried) {
                continue;
            }
            let mut limit = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(suppressed) = limit.line(Instant::now()) else {
                continue;
            };
            drop(limit);
            if suppressed > 0 {
                tracing::warn!(
                    events = suppressed,
                    "Failures beyond the log limit were not logged; the ledger has them all."
                );
            }
            log(record, batch.contested_id(at));
        }
    }
}

impl LogLimit {
    /// Takes a line: returns how many events had none before it, or `None` if the limit is reached.
    fn line(&mut self, now: Instant) -> Option<u64> {
        if self
            .since
            .is_none_or(|since| now.duration_since(since) >= SECOND)
        {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES_PER_S_MAX {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

fn log(record: &EventRecord, contested_id: Option<&EventId>) {
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
            "An event could not be applied and will be retried."
        ),
        Verdict::Defer | Verdict::Postpone { .. } | Verdict::Project(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_limit_are_counted_and_reported_with_the_next_line() {
        let mut limit = LogLimit::default();
        let begin = Instant::now();
        for _ in 0..LINES_PER_S_MAX {
            assert_eq!(limit.line(begin), Some(0));
        }
        assert_eq!(limit.line(begin), None);
        assert_eq!(limit.line(begin + SECOND / 2), None);
        assert_eq!(limit.line(begin + SECOND), Some(2));
        assert_eq!(limit.line(begin + SECOND), Some(0));
    }
}
