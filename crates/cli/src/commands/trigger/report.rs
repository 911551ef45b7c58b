//! The answers to deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_operations::wording::counted;
use harkara_simulator::delivery::Signed;
use serde::Serialize;

use super::sending::Sent;
use crate::output::{self, Table};

/// Maximum deliveries or events with a line each.
pub(super) const LINES_MAX: usize = 60;

/// Longest event name in a table.
pub(super) const NAME_CHARACTERS: usize = 40;

/// Prints each answer, unless there are too many to read.
pub(super) fn lines(deliveries: &[Signed], sent: &Sent) -> io::Result<()> {
    if deliveries.len() > LINES_MAX {
        return Ok(());
    }
    let mut table = Table::new(&["EVENT", "EVENT ID", "ANSWER", "MS"], &[3]);
    for (delivery, result) in deliveries.iter().zip(&sent.results) {
        let (answer, ms) = match result {
            Some(Ok(answer)) => (
                answer.status.to_string(),
                format!("{:.1}", millis(answer.latency)),
            ),
            Some(Err(_)) => ("none".to_owned(), String::new()),
            None => ("not sent".to_owned(), String::new()),
        };
        table.row([
            output::shortened(&delivery.name, NAME_CHARACTERS),
            delivery.event_id.clone(),
            answer,
            ms,
        ]);
    }
    table.print()
}

/// Prints how many deliveries were sent, and the answers by status.
pub(super) fn summary(url: &str, deliveries: &[Signed], sent: &Sent) -> io::Result<()> {
    let n_sent = sent.results.iter().flatten().count();
    let events = deliveries.iter().map(|delivery| &delivery.event_id);
    let events: BTreeSet<&String> = events.collect();
    let mut by_status: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in sent.answers() {
        *by_status.entry(answer.status).or_default() += 1;
    }
    let latencies: Vec<Duration> = sent.answers().map(|answer| answer.latency).collect();
    let by_status = by_status
        .iter()
        .map(|(status, n)| format!("{n} × {status}"));
    let mut outcomes: Vec<String> = by_status.collect();
    let n_unanswered = n_sent - latencies.len();
    if n_unanswered > 0 {
        outcomes.push(format!("{n_unanswered} without an answer"));
    }
    if n_sent < deliveries.len() {
        outcomes.push(format!("{} not sent", deliveries.len() - n_sent));
    }
    let latency = median_and_max(latencies).map(|(median, slowest)| {
        let (median, slowest) = (millis(median), millis(slowest));
        format!("; median {median:.1} ms, slowest {slowest:.1} ms")
    });
    let latency = latency.unwrap_or_default();
    let deliveries = counted(deliveries.len() as u64, "delivery");
    output::line(format!(
        "{deliveries} of {} to {url}",
        counted(events.len() as u64, "event")
    ))?;
    output::line(format!(
        "{} in {:.2} s{latency}",
        outcomes.join(", "),
        sent.took.as_secs_f64()
    ))
}

/// The median and the largest of some values; `None` of none.
pub(super) fn median_and_max<T: Copy + Ord>(mut values: Vec<T>) -> Option<(T, T)> {
    values.sort_unstable();
    Some((*values.get(values.len() / 2)?, *values.last()?))
}

#[derive(Serialize)]
struct DeliveryJson<'a> {
    event_type: &'a str,
    event_id: &'a str,
    answer: Option<u16>,
    latency_ms: Option<f64>,
    error: Option<String>,
}

/// Writes an array with an object for each delivery.
pub(super) fn json(deliveries: &[Signed], sent: &Sent) -> io::Result<()> {
    let rows: Vec<DeliveryJson<'_>> = deliveries
        .iter()
        .zip(&sent.results)
        .map(|(delivery, result)| {
            let answer = result.as_ref().and_then(|result| result.as_ref().ok());
            DeliveryJson {
                event_type: &delivery.name,
                event_id: &delivery.event_id,
                answer: answer.map(|answer| answer.status),
                latency_ms: answer.map(|answer| millis(answer.latency)),
                error: match result {
                    Some(Ok(_)) => None,
                    Some(Err(error)) => Some(with_causes(error)),
                    None => Some("not sent, since others had got no answer".to_owned()),
                },
            }
        })
        .collect();
    output::json(&rows)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
