//! The outcome of a fault, and whether it was as promised.

use std::time::Duration;

use serde::Serialize;

use crate::load::LoadVerdict;

/// The longest time to an answer since its delivery was due: both stores together have 3.4 seconds, and the rest
/// is for a machine that also runs the servers, the links and the load.
const ANSWER_MS_MAX: f64 = 4_000.0;

/// The longest time without a 200 where a process is killed: it is gone for two seconds at most, and has to start.
const SILENCE_MS_MAX: f64 = 5_000.0;

/// The longest time from the end of a fault until everything from before is processed: claims of dead workers expire
/// after five seconds, and the longest outage leaves two minutes of deliveries.
const RECOVERY_MAX: Duration = Duration::from_mins(1);

/// The measurements of one fault.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) verdict: LoadVerdict,
    /// From the end of the fault until everything received by then was processed.
    pub(crate) recovered_after: Option<Duration>,
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
    pub(crate) fn new(verdict: LoadVerdict, recovered_after: Duration) -> Self {
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
    pub(crate) fn require(mut self, holds: bool, problem: impl Into<String>) -> Self {
        if !holds {
            self.broken.push(problem.into());
        }
        self
    }

    /// Requires that some deliveries reached these levels of durability; otherwise the fault had no effect.
    pub(crate) fn require_levels(self, levels: &[&str]) -> Self {
        levels.iter().fold(self, |finding, level| {
            let n = finding.verdict.audit.with_durability(level);
            finding.require(n > 0, format!("no delivery was {level}"))
        })
    }

    /// Requires that there was a backlog while PostgreSQL was unavailable; otherwise the fault had no effect.
    pub(crate) fn require_backlog(self, n_entries: usize) -> Self {
        self.require(n_entries > 0, "no delivery had to wait for PostgreSQL")
    }

    /// Every broken promise.
    pub(crate) fn broken(&self, answers: Answers) -> Vec<String> {
        let LoadVerdict { audit, .. } = &self.verdict;
        let mut judged = self.clone();
        if answers == Answers::AcceptedAndLost {
            judged = judged.require(audit.lost > 0, "the audit found no loss");
        } else {
            let faults = [self.verdict.faults.as_slice(), &audit.faults].concat();
            let faults = format!("the audit failed: {}", faults.join("; "));
            judged = judged
                .require(audit.lost == 0, format!("{} accepted and lost", audit.lost))
                .require(self.verdict.passed, faults);
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
            judged = judged.require(n == 0, format!("{n} {problem}"));
        }
        judged = judged.require_answers(answers);
        let recovery = self.recovered_after.unwrap_or_default();
        let problem = format!("recovery took {recovery:.1?}");
        judged.require(recovery <= RECOVERY_MAX, problem).broken
    }

    fn require_answers(mut self, answers: Answers) -> Self {
        let verdict = self.verdict.clone();
        for (status, n) in &verdict.refused {
            let allowed = status == "401" || status == "503" && answers == Answers::AcceptedOr503;
            self = self.require(allowed, format!("{n} were answered {status}"));
        }
        if answers == Answers::AcceptedOrNone {
            // A delivery to a process that is gone waits for its successor.
            let silence_ms = verdict.longest_refusal_ms;
            let problem = format!("nothing was accepted for {silence_ms:.0} ms");
            return self.require(silence_ms <= SILENCE_MS_MAX, problem);
        }
        let n = verdict.unanswered;
        self = self.require(n == 0, format!("{n} had no answer"));
        for (answer, took_ms) in [
            ("an answer of 200", verdict.latency_ms.max),
            ("an answer other than 200", verdict.slowest_refusal_ms),
        ] {
            let problem = format!("{answer} took {took_ms:.0} ms");
            self = self.require(took_ms <= ANSWER_MS_MAX, problem);
        }
        self
    }
}
