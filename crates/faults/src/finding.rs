//! The outcome of a fault, and whether it was as promised.

use std::time::Duration;

use serde::Serialize;

use crate::load::Verdict;

/// The longest time to an answer since its delivery was due: each of the two durable paths has 1.9 seconds, and the
/// rest is for a machine that also runs the servers, the links and the load.
const ANSWER_MS_MAX: f64 = 2_500.0;

/// The longest time without a 200 where a process is killed: it is gone for two seconds at most, and has to start.
const SILENCE_MS_MAX: f64 = 5_000.0;

/// The longest time from the end of a fault until everything from before is processed: claims of dead workers expire
/// after five seconds, and the longest outage leaves two minutes of deliveries.
const RECOVERY_MAX: Duration = Duration::from_mins(1);

/// The measurements of one fault.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    verdict: Verdict,
    /// From the end of the fault until everything received by then was processed.
    recovered_after: Option<Duration>,
    /// Broken promises of this fault alone.
    broken: Vec<String>,
}

/// The answers that a sender may get while the fault lasts. Every fault but one promises that nothing is lost and
/// nothing takes effect twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Only 200, in time.
    Accepted,
    /// 200, or no answer because the process with the request is gone. The sender sends again.
    AcceptedOrNone,
    /// 200 or, because neither store takes it, 503 in time. The sender sends again.
    AcceptedOr503,
    /// 200, and some accepted deliveries are lost, which the audit must find.
    AcceptedAndLost,
}

impl Finding {
    pub(crate) fn new(verdict: Verdict, recovered_after: Duration) -> Self {
        Self {
            verdict,
            recovered_after: Some(recovered_after),
            broken: Vec::new(),
        }
    }

    /// Drops the recovery time, which cannot be measured over this fault.
    pub(crate) fn without_recovery(mut self) -> Self {
        self.recovered_after = None;
        self
    }

    /// Adds a requirement of this fault, with the problem to report if it does not hold.
    pub(crate) fn require(&mut self, holds: bool, problem: impl Into<String>) {
        if !holds {
            self.broken.push(problem.into());
        }
    }

    /// Requires that some deliveries reached these levels of durability; otherwise the fault had no effect.
    pub(crate) fn require_levels(&mut self, levels: &[&str]) {
        for level in levels {
            let n = self.verdict.audit.with_durability(level);
            self.require(n > 0, format!("no delivery was {level}"));
        }
    }

    pub(crate) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    pub(crate) fn recovered_after(&self) -> Option<Duration> {
        self.recovered_after
    }

    /// Every broken promise.
    pub(crate) fn broken(&self, answers: Answers) -> Vec<String> {
        let Verdict { audit, .. } = &self.verdict;
        let mut problems = self.broken.clone();
        let mut require = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        if answers == Answers::AcceptedAndLost {
            require(audit.lost > 0, "the audit found no loss".to_owned());
        } else {
            require(audit.lost == 0, format!("{} accepted and lost", audit.lost));
            let faults = [self.verdict.faults.as_slice(), &audit.faults].concat();
            let faults = faults.join("; ");
            require(self.verdict.passed, format!("the audit failed: {faults}"));
        }
        for (n, problem) in [
            (audit.doubled, "took effect twice"),
            (audit.altered, "stored with other bytes"),
            (audit.unprocessed, "not processed in time"),
            (audit.refused_stored, "refused and stored"),
            (
                self.verdict.never_accepted,
                "never accepted despite all retries",
            ),
            (
                self.verdict.unsent,
                "not sent, because the generator was too slow",
            ),
        ] {
            require(n == 0, format!("{n} {problem}"));
        }
        self.check_answers(answers, &mut require);
        if let Some(after) = self.recovered_after {
            let is_soon = after <= RECOVERY_MAX;
            require(is_soon, format!("recovery took {after:.1?}"));
        }
        problems
    }

    fn check_answers(&self, answers: Answers, require: &mut impl FnMut(bool, String)) {
        let Verdict {
            refused,
            unanswered,
            ..
        } = &self.verdict;
        for (status, n) in refused {
            let allowed = status == "401" || status == "503" && answers == Answers::AcceptedOr503;
            require(allowed, format!("{n} were answered {status}"));
        }
        if answers == Answers::AcceptedOrNone {
            // A delivery to a process that is gone waits for its successor.
            let silence_ms = self.verdict.longest_refusal_ms;
            let is_short = silence_ms <= SILENCE_MS_MAX;
            require(
                is_short,
                format!("nothing was accepted for {silence_ms:.0} ms"),
            );
            return;
        }
        require(*unanswered == 0, format!("{unanswered} had no answer"));
        for (answer, took_ms) in [
            ("an answer of 200", self.verdict.latency_ms.max),
            ("an answer other than 200", self.verdict.slowest_refusal_ms),
        ] {
            let in_time = took_ms <= ANSWER_MS_MAX;
            require(in_time, format!("{answer} took {took_ms:.0} ms"));
        }
    }
}
