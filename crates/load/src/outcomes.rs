//! The outcomes of the deliveries of a run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::plan::PlannedRequest;
use crate::report::{Histogram, histogram, nanoseconds};

/// The result of sending a plan.
///
/// `sent` is the sum of `accepted`, all of `refused` and `unanswered`.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Requests begun, including duplicates and retries.
    pub sent: usize,
    /// Requests answered with a 2xx.
    pub accepted: usize,
    /// Requests answered with anything else, by status.
    pub refused: BTreeMap<u16, usize>,
    /// The part of `refused` that was validly signed.
    pub refused_valid: BTreeMap<u16, usize>,
    /// Requests without a complete answer in time: no connection, a broken one, or silence.
    pub unanswered: usize,
    /// Requests that were due and not begun: the run was stopped, or no connection was free until long
    /// after they were due.
    pub unsent: usize,
    /// Duplicates among the sent.
    pub duplicates: usize,
    /// Retries among the sent.
    pub retried: usize,
    /// The outcome of each delivery of the corpus.
    pub outcomes: Vec<Outcome>,
    /// Nanoseconds from when a request was due (a retry: from when its pause was over) to its 2xx. Slow
    /// senders, whose time is their own, are not in it.
    pub latency: Histogram,
    /// The longest time from a valid delivery's failure (5xx, 429 or no answer) to the next 2xx for one.
    pub longest_refusal: Duration,
    /// The longest time from when a valid delivery was due to an answer other than 2xx. Slow senders are not in
    /// it.
    pub slowest_refusal: Duration,
    /// From the start to the last answer or failure.
    pub took: Duration,
}

/// The outcome of one delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It was sent at least once.
    pub sent: bool,
    /// Its signature is bad: it must be refused.
    pub bad: bool,
    /// It was answered with a 2xx at least once.
    pub accepted: bool,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of `Delivered`")]
pub struct LoadProgress {
    pub sent: usize,
    pub accepted: usize,
    pub refused: usize,
    pub unanswered: usize,
}

/// A [`Delivered`] in progress.
pub(crate) struct OutcomeCounts {
    delivered: Delivered,
    started: Instant,
    /// When valid deliveries began to fail, while they do.
    failing_since: Option<Instant>,
}

/// One request and its outcome.
pub(crate) struct Attempt {
    pub(crate) request: PlannedRequest,
    pub(crate) is_retry: bool,
    pub(crate) intended: Instant,
    /// `None` without a complete answer in time.
    pub(crate) status: Option<u16>,
}

impl OutcomeCounts {
    pub(crate) fn new(deliveries: usize, started: Instant) -> Self {
        Self {
            delivered: Delivered {
                sent: 0,
                accepted: 0,
                refused: BTreeMap::new(),
                refused_valid: BTreeMap::new(),
                unanswered: 0,
                unsent: 0,
                duplicates: 0,
                retried: 0,
                outcomes: vec![Outcome::default(); deliveries],
                latency: histogram(),
                longest_refusal: Duration::ZERO,
                slowest_refusal: Duration::ZERO,
                took: Duration::ZERO,
            },
            started,
            failing_since: None,
        }
    }

    pub(crate) fn count(&mut self, attempt: &Attempt, now: Instant) {
        let delivered = &mut self.delivered;
        let request = attempt.request;
        let is_valid = request.signing.is_valid();
        delivered.sent += 1;
        delivered.duplicates += usize::from(request.duplicate && !attempt.is_retry);
        delivered.retried += usize::from(attempt.is_retry);
        let since_start = now.saturating_duration_since(self.started);
        delivered.took = delivered.took.max(since_start);
        let answered_after = now.saturating_duration_since(attempt.intended);
        let outcome = &mut delivered.outcomes[request.delivery];
        outcome.sent = true;
        outcome.bad = !is_valid;
        match attempt.status {
            Some(200..=299) => {
                outcome.accepted = true;
                delivered.accepted += 1;
                if !request.slow {
                    let latency = nanoseconds(answered_after);
                    delivered.latency.saturating_record(latency);
                }
            }
            Some(status) => {
                *delivered.refused.entry(status).or_default() += 1;
                if is_valid {
                    *delivered.refused_valid.entry(status).or_default() += 1;
                }
                if is_valid && !request.slow {
                    delivered.slowest_refusal = delivered.slowest_refusal.max(answered_after);
                }
            }
            None => delivered.unanswered += 1,
        }
        if is_valid {
            self.watch(attempt.status, now);
        }
    }

    pub(crate) fn count_unsent(&mut self, requests: usize) {
        self.delivered.unsent += requests;
    }

    pub(crate) fn progress(&self) -> LoadProgress {
        LoadProgress {
            sent: self.delivered.sent,
            accepted: self.delivered.accepted,
            refused: self.delivered.refused.values().sum(),
            unanswered: self.delivered.unanswered,
        }
    }

    pub(crate) fn finish(mut self) -> Delivered {
        let ended = self.started + self.delivered.took;
        self.recover(ended);
        self.delivered
    }

    /// Keeps the longest time without a 2xx after a failure.
    fn watch(&mut self, status: Option<u16>, now: Instant) {
        match status {
            Some(200..=299) => self.recover(now),
            None | Some(429 | 500..) => {
                self.failing_since.get_or_insert(now);
            }
            Some(_) => {}
        }
    }

    fn recover(&mut self, now: Instant) {
        if let Some(since) = self.failing_since.take() {
            let refusal = now.saturating_duration_since(since);
            self.delivered.longest_refusal = self.delivered.longest_refusal.max(refusal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Attempt, Delivered, OutcomeCounts};
    use crate::plan::{PlannedRequest, Signing};

    /// Counts attempts of one delivery, given by milliseconds, signing and status.
    fn delivered(attempts: &[(u64, Signing, Option<u16>)]) -> Delivered {
        let started = Instant::now();
        let mut counts = OutcomeCounts::new(2, started);
        for &(ms, signing, status) in attempts {
            let request = PlannedRequest {
                due: Duration::ZERO,
                delivery: 1,
                signing,
                slow: false,
                duplicate: false,
            };
            let attempt = Attempt {
                request,
                is_retry: false,
                intended: started,
                status,
            };
            counts.count(&attempt, started + Duration::from_millis(ms));
        }
        counts.finish()
    }

    #[test]
    fn the_longest_refusal_lasts_from_a_failure_to_the_next_2xx_of_a_valid_delivery() {
        let delivered = delivered(&[
            (0, Signing::Right, Some(200)),
            // A bad signature must be refused, so its refusal does not count.
            (10, Signing::Missing, Some(401)),
            (100, Signing::Right, Some(503)),
            (150, Signing::Right, None),
            (160, Signing::WrongSecret, Some(401)),
            (400, Signing::Old, Some(200)),
            (500, Signing::Right, Some(429)),
            (600, Signing::Right, Some(200)),
        ]);
        assert_eq!(delivered.longest_refusal, Duration::from_millis(300));
        assert_eq!((delivered.sent, delivered.accepted), (8, 3));
        assert_eq!(delivered.unanswered, 1);
        assert_eq!(delivered.refused.values().sum::<usize>(), 4);
        assert_eq!(delivered.refused_valid.values().sum::<usize>(), 2);
    }

    #[test]
    fn a_refusal_that_does_not_end_lasts_until_the_end() {
        let delivered = delivered(&[(100, Signing::Right, None), (900, Signing::Right, None)]);
        assert_eq!(delivered.longest_refusal, Duration::from_millis(800));
    }

    #[test]
    fn a_delivery_that_was_accepted_once_stays_accepted() {
        let statuses = [None, Some(200), Some(503)];
        let delivered = delivered(&statuses.map(|status| (0, Signing::Right, status)));
        assert!(delivered.outcomes[1].accepted && delivered.outcomes[1].sent);
        assert!(!delivered.outcomes[0].sent);
    }
}
