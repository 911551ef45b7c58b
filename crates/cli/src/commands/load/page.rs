//! The verdict as a page for people.

use std::io;

use super::verdict::LoadVerdict;
use crate::output;
use harkara_operations::verification::Verification;

/// Prints a verdict on a load that went to `urls`.
pub(super) fn print(verdict: &LoadVerdict, urls: &[String]) -> io::Result<()> {
    output::line(lines(verdict, urls).join("\n"))
}

fn lines(v: &LoadVerdict, urls: &[String]) -> Vec<String> {
    let (rate, seconds, urls) = (v.rate_per_s, v.duration_s, urls.join(" and "));
    let sent = format!(
        "{} deliveries, {} duplicates, {} retries; --seed {}",
        v.deliveries, v.duplicates, v.retried, v.seed
    );
    let mut lines = vec![
        format!("{rate} a second for {seconds} s to {urls}"),
        String::new(),
        row("sent", v.sent, &sent),
        row("accepted", v.accepted, ""),
        row("refused", v.refused.values().sum(), &by_status(v)),
        row("unanswered", v.unanswered, ""),
    ];
    if v.unsent > 0 {
        let why = "no connection was free, or the run was stopped";
        lines.push(row("unsent", v.unsent, why));
    }
    let unaccepted = "validly signed deliveries without any 2xx";
    let latency = &v.latency_ms;
    lines.extend([
        row("never accepted", v.never_accepted, unaccepted),
        format!(
            "latency         p50 {} ms, p99 {} ms, p99.9 {} ms, max {} ms, from when each was due",
            latency.p50, latency.p99, latency.p99_9, latency.max
        ),
        format!("longest refusal {} ms", v.longest_refusal_ms),
        String::new(),
    ]);
    match &v.audit {
        Some(audit) => lines.extend(audited(audit)),
        None => lines.push("The database was not compared.".to_owned()),
    }
    let of_audit = v.audit.iter().flat_map(|audit| &audit.faults);
    let of_audit = of_audit.map(|fault| &fault.sentence);
    let faults = v.faults.iter().chain(of_audit);
    lines.extend(faults.map(|fault| format!("! {fault}")));
    let result = match (v.passed, &v.audit) {
        (true, Some(_)) => "PASSED: nothing was lost, altered or doubled.",
        (true, None) => "PASSED, as far as the answers show.",
        (false, _) => "FAILED",
    };
    lines.extend([String::new(), result.to_owned()]);
    lines
}

fn audited(audit: &Verification) -> [String; 6] {
    let settled = audit.settled_ms.map_or_else(
        || "not all was processed in time".to_owned(),
        |ms| format!("all processed {ms} ms after the last answer"),
    );
    let levels = audit.durability.iter();
    let levels: Vec<String> = levels.map(|(level, n)| format!("{n} {level}")).collect();
    let doubled = "rows or effects that are not those of each event once";
    let refused = "a bad signature, and in the ledger";
    [
        row("stored", audit.stored, &levels.join(", ")),
        row("unprocessed", audit.unprocessed, &settled),
        row("lost", audit.lost, "accepted, and not in the ledger"),
        row("altered", audit.altered, "in the ledger with other bytes"),
        row("doubled", audit.doubled, doubled),
        row("refused, stored", audit.refused_stored, refused),
    ]
}

fn by_status(verdict: &LoadVerdict) -> String {
    let statuses = verdict.refused.iter();
    let mut parts: Vec<String> = statuses
        .map(|(status, n)| format!("{n} × {status}"))
        .collect();
    if verdict.badly_signed > 0 {
        parts.push(format!("{} had bad signatures", verdict.badly_signed));
    }
    parts.join(", ")
}

fn row(name: &str, number: usize, more: &str) -> String {
    format!("{name:<16}{number:<9}{more}").trim_end().to_owned()
}
