//! The verdict as a page for people.

use std::collections::BTreeMap;
use std::io;

use super::verdict::Verdict;
use crate::output;
use harkara_operations::verification::Verification;

/// Prints a verdict on a load that went to `urls`.
pub(super) fn print(verdict: &Verdict, urls: &[String]) -> io::Result<()> {
    output::line(lines(verdict, urls).join("\n"))
}

fn lines(verdict: &Verdict, urls: &[String]) -> Vec<String> {
    let v = verdict;
    let mut lines = vec![
        format!(
            "{} a second for {} s to {}",
            v.rate_per_s,
            v.duration_s,
            urls.join(" and ")
        ),
        String::new(),
        row(
            "sent",
            v.sent,
            &format!(
                "{} deliveries, {} duplicates, {} retries; --seed {}",
                v.deliveries, v.duplicates, v.retried, v.seed
            ),
        ),
        row("accepted", v.accepted, ""),
        row("refused", v.refused.values().sum(), &by_status(v)),
        row("unanswered", v.unanswered, ""),
    ];
    if v.unsent > 0 {
        lines.push(row(
            "unsent",
            v.unsent,
            "no connection was free, or the run was stopped",
        ));
    }
    lines.push(row(
        "never accepted",
        v.never_accepted,
        "rightly signed deliveries without any 2xx",
    ));
    let latency = &v.latency_ms;
    lines.push(format!(
        "{:<16}p50 {} ms, p99 {} ms, p99.9 {} ms, max {} ms, from when each was due",
        "latency", latency.p50, latency.p99, latency.p99_9, latency.max
    ));
    lines.push(format!(
        "{:<16}{} ms",
        "longest refusal", v.longest_refusal_ms
    ));
    lines.push(String::new());
    match &v.audit {
        Some(audit) => lines.extend(audited(audit)),
        None => lines.push("The database was not compared.".to_owned()),
    }
    let of_audit = v.audit.iter().flat_map(|audit| &audit.faults);
    let of_audit = of_audit.map(|fault| &fault.sentence);
    lines.extend(
        v.faults
            .iter()
            .chain(of_audit)
            .map(|fault| format!("! {fault}")),
    );
    lines.push(String::new());
    lines.push(
        match (v.passed, &v.audit) {
            (true, Some(_)) => "PASSED: nothing was lost, altered or doubled.",
            (true, None) => "PASSED, as far as the answers tell.",
            (false, _) => "FAILED",
        }
        .to_owned(),
    );
    lines
}

fn audited(audit: &Verification) -> Vec<String> {
    let settled = audit.settled_ms.map_or_else(
        || "not all was processed in time".to_owned(),
        |ms| format!("all processed {ms} ms after the last answer"),
    );
    let durability: Vec<String> = audit
        .durability
        .iter()
        .map(|(level, n)| format!("{n} {level}"))
        .collect();
    vec![
        row("stored", audit.stored, &durability.join(", ")),
        row("unprocessed", audit.unprocessed, &settled),
        row("lost", audit.lost, "accepted, and not in the ledger"),
        row("altered", audit.altered, "in the ledger with other bytes"),
        row(
            "doubled",
            audit.doubled,
            "rows or effects that are not those of each event once",
        ),
        row(
            "refused, stored",
            audit.refused_stored,
            "badly signed, and in the ledger",
        ),
    ]
}

fn by_status(verdict: &Verdict) -> String {
    let by_status: &BTreeMap<u16, usize> = &verdict.refused;
    let mut told: Vec<String> = by_status
        .iter()
        .map(|(status, n)| format!("{n} × {status}"))
        .collect();
    if verdict.badly_signed > 0 {
        told.push(format!("{} were badly signed", verdict.badly_signed));
    }
    told.join(", ")
}

fn row(name: &str, number: usize, more: &str) -> String {
    format!("{name:<16}{number:<9}{more}").trim_end().to_owned()
}
