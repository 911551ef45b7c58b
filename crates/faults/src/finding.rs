//! What a fault did, and whether that was promised.

use std::time::Duration;

use serde::Serialize;

use crate::load::Verdict;

/// Longest time to an answer, from when its delivery was due: both ways of being durable have 1.9 seconds, and
/// the rest is for a machine that also runs the servers, the links and the load.
const ANSWER_MS_MAX: f64 = 2_500.0;

/// Longest time in which nobody is answered 200 where a process is killed: it is away for two seconds at most,
/// and has to start.
const SILENCE_MS_MAX: f64 = 5_000.0;

/// Longest time from the end of a fault until everything from before is processed: what dead workers held has
/// to be idle for five seconds first, and after the longest outage there are two minutes of deliveries.
const RECOVERY_MAX: Duration = Duration::from_mins(1);

/// What was measured over one fault.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    verdict: Verdict,
    /// From the end of the fault until all that was received by then was processed.
    recovered_after: Option<Duration>,
    /// What is not as promised, beyond what every fault promises.
    broken: Vec<String>,
}

/// What senders may be answered while the fault lasts. Nothing lost and nothing doubled is promised in
/// every case but one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// 200 and nothing else, in time.
    Accepted,
    /// 200, or none because the process that had the request is gone. The sender sends again.
    AcceptedOrNone,
    /// 200 or, because neither store takes it, 503 in time. The sender sends again.
    AcceptedOr503,
    /// 200, and some of what was accepted is lost, which the audit must find.
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

    /// Drops the time of recovery, which this fault does not let be measured.
    pub(crate) fn without_recovery(mut self) -> Self {
        self.recovered_after = None;
        self
    }

    /// Notes what must hold besides.
    pub(crate) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    /// Notes that some deliveries must have been durable in this way, or the fault was not one.
    pub(crate) fn must_have_used(&mut self, level: &str) {
        let n = self.verdict.audit.durability.get(level).copied();
        self.must(n.unwrap_or_default() > 0, || {
            format!("no delivery was {level}")
        });
    }

    pub(crate) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    pub(crate) fn recovered_after(&self) -> Option<Duration> {
        self.recovered_after
    }

    /// What is not as promised.
    pub(crate) fn broken(&self, answers: Answers) -> Vec<String> {
        let Verdict {
            refused,
            unanswered,
            never_accepted,
            unsent,
            audit,
            passed,
            ..
        } = &self.verdict;
        let mut faults = self.broken.clone();
        let mut must = |holds: bool, otherwise: String| {
            if !holds {
                faults.push(otherwise);
            }
        };
        if answers == Answers::AcceptedAndLost {
            must(audit.lost > 0, "the audit found no loss".to_owned());
        } else {
            must(audit.lost == 0, format!("{} accepted and lost", audit.lost));
            let told = [self.verdict.faults.as_slice(), &audit.faults]
                .concat()
                .join("; ");
            must(*passed, format!("the audit did not pass: {told}"));
        }
        for (n, what) in [
            (audit.doubled, "took effect twice"),
            (audit.altered, "stored with other bytes"),
            (audit.unprocessed, "not processed in time"),
            (audit.refused_stored, "refused and stored"),
            (*never_accepted, "not accepted however often sent"),
            (*unsent, "not sent, because the generator was too slow"),
        ] {
            must(n == 0, format!("{n} {what}"));
        }
        for (status, n) in refused {
            let allowed = status == "401" || status == "503" && answers == Answers::AcceptedOr503;
            must(allowed, format!("{n} were answered {status}"));
        }
        let silent = answers == Answers::AcceptedOrNone || *unanswered == 0;
        must(silent, format!("{unanswered} had no answer"));
        for (what, took_ms) in [
            ("an answer of 200", self.verdict.latency_ms.max),
            ("an answer other than 200", self.verdict.slowest_refusal_ms),
        ] {
            // One that is sent to a process that is gone waits for another.
            let in_time = answers == Answers::AcceptedOrNone || took_ms <= ANSWER_MS_MAX;
            must(in_time, format!("{what} took {took_ms:.0} ms"));
        }
        if answers == Answers::AcceptedOrNone {
            let silence_ms = self.verdict.longest_refusal_ms;
            let short = silence_ms <= SILENCE_MS_MAX;
            must(
                short,
                format!("nothing was accepted for {silence_ms:.0} ms"),
            );
        }
        if let Some(after) = self.recovered_after {
            let soon = after <= RECOVERY_MAX;
            must(soon, format!("recovery took {after:.1?}"));
        }
        faults
    }
}
