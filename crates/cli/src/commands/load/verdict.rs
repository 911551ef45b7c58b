//! The verdict: what was sent, its outcomes, and whether every promise was kept.

use std::collections::BTreeMap;
use std::time::Duration;

use harkara_load::{Delivered, Histogram};
use harkara_operations::verification::Verification;
use harkara_storage::StorageError;
use serde::Serialize;

use super::LoadOptions;

/// The answer to a bad signature.
const UNAUTHORIZED: u16 = 401;

/// The result of a load.
#[derive(Debug, Serialize)]
pub(super) struct LoadVerdict {
    pub(super) seed: u64,
    pub(super) rate_per_s: f64,
    pub(super) duration_s: f64,
    /// From the start to the last answer.
    took_s: f64,
    /// Distinct deliveries that were sent.
    pub(super) deliveries: usize,
    pub(super) sent: usize,
    pub(super) accepted: usize,
    pub(super) refused: BTreeMap<u16, usize>,
    pub(super) unanswered: usize,
    pub(super) unsent: usize,
    pub(super) duplicates: usize,
    pub(super) retried: usize,
    pub(super) never_accepted: usize,
    pub(super) badly_signed: usize,
    pub(super) latency_ms: Latency,
    pub(super) longest_refusal_ms: u64,
    /// The longest time to an answer other than 2xx for a valid delivery.
    pub(super) slowest_refusal_ms: u64,
    /// `null` if the database was not compared, or could not be.
    pub(super) audit: Option<Verification>,
    /// Other broken promises, each a sentence.
    pub(super) faults: Vec<String>,
    pub(super) passed: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p99_9: f64,
    pub(super) max: f64,
}

impl LoadVerdict {
    pub(super) fn new(
        seed: u64,
        options: &LoadOptions,
        delivered: &Delivered,
        audit: Option<Result<Verification, StorageError>>,
    ) -> Self {
        let sent = || delivered.outcomes.iter().filter(|outcome| outcome.sent);
        let mut faults = faults_of_answers(delivered);
        let audit = audit.transpose().unwrap_or_else(|error| {
            faults.push(format!("the database query failed: {}", error.full()));
            None
        });
        Self {
            seed,
            rate_per_s: options.rate,
            duration_s: options.duration.as_secs_f64(),
            took_s: rounded(delivered.took.as_secs_f64()),
            deliveries: sent().count(),
            sent: delivered.sent,
            accepted: delivered.accepted,
            refused: delivered.refused.clone(),
            unanswered: delivered.unanswered,
            unsent: delivered.unsent,
            duplicates: delivered.duplicates,
            retried: delivered.retried,
            never_accepted: sent()
                .filter(|outcome| !outcome.bad && !outcome.accepted)
                .count(),
            badly_signed: sent().filter(|outcome| outcome.bad).count(),
            latency_ms: Latency::of(&delivered.latency),
            longest_refusal_ms: millis(delivered.longest_refusal),
            slowest_refusal_ms: millis(delivered.slowest_refusal),
            passed: faults.is_empty() && audit.as_ref().is_none_or(Verification::is_clean),
            audit,
            faults,
        }
    }
}

/// Whether a status reports trouble of the receiver rather than of the delivery: Razorpay would send it again.
fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

fn faults_of_answers(delivered: &Delivered) -> Vec<String> {
    let mut faults = Vec::new();
    let refused = delivered.refused.iter();
    for (&status, &n) in refused.filter(|(status, _)| !is_temporary(**status)) {
        let n_valid = delivered.refused_valid.get(&status).copied().unwrap_or(0);
        let n_bad = n - n_valid;
        if n_bad > 0 && status != UNAUTHORIZED {
            faults.push(format!(
                "{n_bad} requests with bad signatures were answered {status} and not 401"
            ));
        }
        if n_valid > 0 {
            faults.push(match status {
                UNAUTHORIZED => format!(
                    "{n_valid} validly signed requests were refused with 401; does the ingress have this secret?"
                ),
                404 => format!("{n_valid} requests were answered 404; is it an endpoint's URL?"),
                _ => format!("{n_valid} validly signed requests were answered {status}"),
            });
        }
    }
    let accepted = delivered.outcomes.iter().filter(|outcome| outcome.accepted);
    let n_bad = accepted.filter(|outcome| outcome.bad).count();
    if n_bad > 0 {
        faults.push(format!(
            "{n_bad} deliveries with bad signatures were accepted"
        ));
    }
    if delivered.accepted == 0 {
        faults.push("nothing was accepted, so nothing is proven".to_owned());
    }
    faults
}

impl Latency {
    fn of(histogram: &Histogram) -> Self {
        let at = |quantile| rounded(in_ms(histogram.value_at_quantile(quantile)));
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p99_9: at(0.999),
            max: rounded(in_ms(histogram.max())),
        }
    }
}

fn in_ms(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1_000.0
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// To three places.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
