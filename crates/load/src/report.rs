//! The report of a run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use fixedbitset::FixedBitSet;

use crate::connection::Broken;
use crate::response::ParsedResponse;

/// A histogram of nanoseconds, exact to three digits.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// The result of a run.
#[derive(Debug)]
pub struct LoadReport {
    /// Requests begun, each a delivery of its own: the answered and the failed ones.
    pub sent: usize,
    /// Complete answers by status.
    pub statuses: BTreeMap<u16, usize>,
    /// Requests without a complete answer: the connection broke, or the time was over.
    pub failed: usize,
    /// The first of these failures.
    pub first_failure: Option<Broken>,
    /// Positions answered with a 2xx.
    pub accepted: FixedBitSet,
    /// Positions without a complete answer: the target may have accepted them or not.
    pub unknown: FixedBitSet,
    /// Open model: arrivals that were due but never sent, as no connection was free until the end.
    /// They are in no histogram; if there are any, the target did not keep up with the rate.
    pub unsent: usize,
    /// From the first request to the last answer; zero where there was none.
    pub elapsed: Duration,
    /// Nanoseconds until the complete answer, of answered requests: in the closed model from the
    /// sending, in the open one from the intended start.
    pub latency: Histogram,
    /// Open model: nanoseconds from the intended start to the sending, for requests that found a
    /// connection free. That is the generator's own share of the latency.
    pub started_late: Histogram,
    /// Open model: requests for which no connection was free when they were due; each then waited
    /// or opened one.
    pub waited: usize,
    /// Connections opened, including those at the start.
    pub connections_opened: usize,
    /// The range was used up before the time was over.
    pub exhausted: bool,
}

/// A report in progress.
pub(crate) struct Tally {
    report: LoadReport,
    first_sent: Option<Instant>,
    last_answered: Option<Instant>,
}

/// When a request was due and when it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// Latency counts from this.
    pub(crate) intended: Instant,
    pub(crate) sent: Instant,
}

impl Tally {
    pub(crate) fn new(range: &Range<usize>) -> Self {
        Self {
            report: LoadReport {
                sent: 0,
                statuses: BTreeMap::new(),
                failed: 0,
                first_failure: None,
                accepted: FixedBitSet::with_capacity(range.end),
                unknown: FixedBitSet::with_capacity(range.end),
                unsent: 0,
                elapsed: Duration::ZERO,
                latency: histogram(),
                started_late: histogram(),
                waited: 0,
                connections_opened: 0,
                exhausted: false,
            },
            first_sent: None,
            last_answered: None,
        }
    }

    /// Counts a request and its outcome; returns when that was.
    pub(crate) fn count(
        &mut self,
        position: usize,
        times: Times,
        outcome: Result<ParsedResponse, Broken>,
    ) -> Instant {
        let now = Instant::now();
        let report = &mut self.report;
        report.sent += 1;
        let first = self.first_sent.get_or_insert(times.sent);
        *first = times.sent.min(*first);
        match outcome {
            Ok(answer) => {
                self.last_answered = Some(now);
                *report.statuses.entry(answer.status).or_default() += 1;
                let latency = now.saturating_duration_since(times.intended);
                report.latency.saturating_record(nanoseconds(latency));
                if (200..300).contains(&answer.status) {
                    report.accepted.insert(position);
                }
            }
            Err(broken) => {
                report.failed += 1;
                report.unknown.insert(position);
                report.first_failure.get_or_insert(broken);
            }
        }
        now
    }

    pub(crate) fn count_opened(&mut self) {
        self.report.connections_opened += 1;
    }

    pub(crate) fn count_unsent(&mut self) {
        self.report.unsent += 1;
    }

    pub(crate) fn count_waited(&mut self) {
        self.report.waited += 1;
    }

    pub(crate) fn count_lateness(&mut self, times: Times) {
        let late = times.sent.saturating_duration_since(times.intended);
        let started_late = &mut self.report.started_late;
        started_late.saturating_record(nanoseconds(late));
    }

    pub(crate) fn finish(mut self, unsent: usize, exhausted: bool) -> LoadReport {
        if let (Some(first), Some(last)) = (self.first_sent, self.last_answered) {
            self.report.elapsed = last.saturating_duration_since(first);
        }
        self.report.unsent += unsent;
        self.report.exhausted = exhausted;
        self.report
    }
}

/// The longest time that histograms resolve.
const LONGEST: Duration = Duration::from_hours(1);

const SIGNIFICANT_DIGITS: u8 = 3;

pub(crate) fn histogram() -> Histogram {
    Histogram::new_with_max(nanoseconds(LONGEST), SIGNIFICANT_DIGITS)
        .expect("the bounds are within those of a histogram")
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
