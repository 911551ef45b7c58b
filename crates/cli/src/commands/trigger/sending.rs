//! Sends a plan, several deliveries at a time.

use std::cell::Cell;
use std::future::ready;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures_util::{StreamExt, stream};
use harkara_core::causes::with_causes;
use harkara_simulator::delivery::Signed;
use harkara_simulator::send::{Answer, Destination, SendError, Sender};

use super::{ACCEPTED, REFUSED};
use crate::exit::Ending;
use crate::traced::Call;

/// Maximum deliveries that wait for their answers at the same time.
const IN_FLIGHT_MAX: usize = 16;

/// After this many deliveries without an answer the rest is not sent.
const NO_ANSWERS_MAX: usize = 32;

/// The results of a plan.
#[derive(Debug)]
pub(super) struct Sent {
    /// In the order of the plan; `None` for a delivery that was not sent because sending had stopped.
    pub(super) results: Vec<Option<Result<Answer, SendError>>>,
    /// From the first delivery to the last answer.
    pub(super) took: Duration,
}

/// Sends every delivery, and stops early only where nobody answers.
pub(super) async fn send_all(
    call: &Call,
    destination: &Destination,
    deliveries: &[Signed],
) -> Sent {
    let began = Instant::now();
    let sender = Sender::new();
    let mut results: Vec<_> = deliveries.iter().map(|_| None).collect();
    let unanswered = Cell::new(0);
    let mut answers = stream::iter(deliveries.iter().enumerate())
        .take_while(|_| ready(unanswered.get() < NO_ANSWERS_MAX))
        .map(async |(at, delivery)| (at, call.send(&sender, destination, delivery).await))
        .buffer_unordered(IN_FLIGHT_MAX);
    while let Some((at, result)) = answers.next().await {
        unanswered.set(match &result {
            Ok(_) => unanswered.get(),
            // It refuses the connection: the next attempt would only say so again.
            Err(SendError::Unreachable { .. }) => NO_ANSWERS_MAX,
            Err(_) => unanswered.get() + 1,
        });
        results[at] = Some(result);
    }
    Sent {
        results,
        took: began.elapsed(),
    }
}

impl Sent {
    /// The answers.
    pub(super) fn answers(&self) -> impl Iterator<Item = Answer> {
        self.results
            .iter()
            .filter_map(|result| result.as_ref()?.as_ref().ok().copied())
    }

    /// Done if every delivery was answered with `expected`; else an error with the remedy.
    pub(super) fn check(&self, expected: u16) -> anyhow::Result<Ending> {
        let mut errors = self
            .results
            .iter()
            .flatten()
            .filter_map(|r| r.as_ref().err());
        if let Some(error) = errors.next() {
            bail!("{}; {}", with_causes(error), remedy(error));
        }
        let unexpected: Vec<u16> = self
            .answers()
            .map(|answer| answer.status)
            .filter(|status| *status != expected)
            .collect();
        match unexpected.first() {
            None => Ok(Ending::Done),
            Some(&first) => bail!(
                "{} of {} answers were not {expected} as expected; {}",
                unexpected.len(),
                self.results.len(),
                meaning(first)
            ),
        }
    }
}

fn remedy(error: &SendError) -> &'static str {
    match error {
        SendError::Unreachable { .. } => {
            "is the ingress running there? `cargo dev up` starts one, and --url names another"
        }
        SendError::TimedOut { .. } | SendError::Broken { .. } => "see the ingress's log",
        SendError::NoHeader { .. } => "this is a bug",
    }
}

/// What an unexpected answer says, and what to do about it.
fn meaning(status: u16) -> String {
    let said = match status {
        ACCEPTED => {
            "a delivery with a wrong signature was accepted: the receiver does not check signatures"
        }
        REFUSED => {
            "the ingress has another secret for this endpoint: give it by --secret, or use the ingress's settings"
        }
        404 => {
            "the ingress does not know the endpoint: see its settings `endpoints`, and --endpoint or --url here"
        }
        413 => "the body is over the ingress's limit ingress.body_bytes_max",
        429 => "the ingress limits the rate: send less at a time",
        503 => "the ingress cannot store deliveries now: see /readyz on its admin port",
        _ => "is it an ingress that answers there?",
    };
    format!("{status}: {said}")
}

#[cfg(test)]
mod tests {
    use super::{Answer, Duration, Ending, Sent};

    #[test]
    fn one_unexpected_answer_is_a_failure_that_says_what_to_do() {
        let latency = Duration::ZERO;
        let answer = |&status: &u16| Some(Ok(Answer { status, latency }));
        let check = |statuses: &[u16], expected| {
            let results = statuses.iter().map(answer).collect();
            let took = latency;
            Sent { results, took }.check(expected)
        };
        assert_eq!(check(&[200, 200], 200).unwrap(), Ending::Done);
        assert_eq!(check(&[401], 401).unwrap(), Ending::Done);
        let error = check(&[200, 401, 200], 200).unwrap_err().to_string();
        assert!(error.starts_with("1 of 3 answers"), "{error}");
        assert!(error.contains("--secret"), "{error}");
    }
}
