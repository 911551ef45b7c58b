//! The progress of a status, by kind of entity, from the documented state machines.

use std::collections::BTreeMap;

/// The documented statuses of each kind with a state machine. Disputes depend on their phase, too.
const DOCUMENTED: [(&str, &[&str]); 15] = [
    (
        "payment",
        &[
            "created",
            "pending",
            "failed",
            "authorized",
            "captured",
            "refunded",
        ],
    ),
    ("order", &["created", "attempted", "paid"]),
    ("refund", &["created", "pending", "failed", "processed"]),
    (
        "payment.downtime",
        &["scheduled", "started", "updated", "cancelled", "resolved"],
    ),
    (
        "payout.downtime",
        &["scheduled", "started", "updated", "cancelled", "resolved"],
    ),
    (
        "invoice",
        &[
            "draft",
            "issued",
            "partially_paid",
            "expired",
            "cancelled",
            "deleted",
            "paid",
        ],
    ),
    (
        "payment_link",
        &["created", "partially_paid", "expired", "cancelled", "paid"],
    ),
    (
        "fund_account.validation",
        &["created", "failed", "completed"],
    ),
    (
        "subscription",
        &[
            "created",
            "authenticated",
            "active",
            "pending",
            "halted",
            "paused",
            "cancelled",
            "expired",
            "completed",
        ],
    ),
    (
        "settlement",
        &["created", "initiated", "failed", "processed", "reversed"],
    ),
    (
        "transfer",
        &[
            "created",
            "pending",
            "failed",
            "processed",
            "partially_reversed",
            "reversed",
        ],
    ),
    (
        "payout",
        &[
            "pending",
            "queued",
            "processing",
            "rejected",
            "cancelled",
            "failed",
            "processed",
            "reversed",
        ],
    ),
    (
        "payout_link",
        &[
            "pending",
            "issued",
            "processing",
            "cancelled",
            "rejected",
            "expired",
            "processed",
        ],
    ),
    ("virtual_account", &["active", "closed"]),
    ("qr_code", &["active", "closed"]),
];

/// The phases of a dispute that are ranks, and its statuses.
const DISPUTE_PHASES: [&str; 5] = [
    "fraud",
    "retrieval",
    "chargeback",
    "pre_arbitration",
    "arbitration",
];
const DISPUTE_STATUSES: [&str; 5] = ["open", "under_review", "closed", "won", "lost"];

/// The progress of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Standing {
    /// A lower rank never replaces a higher one; within a rank, time decides.
    pub rank: u8,
    /// Order among statuses of equal rank at the same second.
    pub step: u8,
}

const fn standing(rank: u8, step: u8) -> Standing {
    Standing { rank, step }
}

/// The standing of a status, by kind of entity (its payload key).
///
/// From the documented state machines. An unknown status ranks just above the first state; a kind without a
/// state machine has one rank, so time decides.
#[must_use]
pub(crate) fn standing_of(kind: &str, status: Option<&str>) -> Standing {
    let Some(status) = status else {
        return Standing::default();
    };
    match kind {
        "payment" => match status {
            "created" => standing(0, 0),
            // Not final: a late answer of the bank or a retry may follow.
            "failed" => standing(2, 0),
            "authorized" => standing(3, 0),
            "captured" => standing(4, 0),
            "refunded" => standing(5, 0),
            _ => standing(1, 0),
        },
        // Paid is final, even after refunds.
        "order" => match status {
            "created" => standing(0, 0),
            "paid" => standing(2, 0),
            _ => standing(1, 0),
        },
        "refund" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "processed" => standing(3, 0),
            _ => standing(1, 0),
        },
        "payment.downtime" | "payout.downtime" => match status {
            "scheduled" => standing(0, 0),
            "updated" => standing(1, 1),
            "cancelled" => standing(2, 0),
            "resolved" => standing(2, 1),
            _ => standing(1, 0),
        },
        "invoice" => match status {
            "draft" => standing(0, 0),
            "partially_paid" => standing(2, 0),
            "expired" => standing(3, 0),
            "cancelled" => standing(3, 1),
            "deleted" => standing(3, 2),
            "paid" => standing(4, 0),
            _ => standing(1, 0),
        },
        "payment_link" => match status {
            "created" => standing(0, 0),
            "partially_paid" => standing(2, 0),
            "expired" => standing(3, 0),
            "cancelled" => standing(3, 1),
            "paid" => standing(4, 0),
            _ => standing(1, 0),
        },
        "fund_account.validation" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "completed" => standing(2, 1),
            _ => standing(1, 0),
        },
        _ => standing_of_generic(kind, status),
    }
}

fn standing_of_generic(kind: &str, status: &str) -> Standing {
    match kind {
        "subscription" => match status {
            "created" => standing(0, 0),
            "authenticated" => standing(1, 0),
            "cancelled" | "expired" => standing(3, 0),
            "completed" => standing(3, 1),
            _ => standing(2, 0),
        },
        "settlement" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "processed" => standing(2, 1),
            "reversed" => standing(3, 0),
            _ => standing(1, 0),
        },
        "transfer" => match status {
            "created" => standing(0, 0),
            "failed" => standing(2, 0),
            "processed" => standing(2, 1),
            "partially_reversed" => standing(3, 0),
            "reversed" => standing(4, 0),
            _ => standing(1, 0),
        },
        // Nothing follows processed or reversed.
        "payout" => match status {
            "pending" => standing(0, 0),
            "failed" | "rejected" | "cancelled" => standing(2, 0),
            "processed" => standing(3, 0),
            "reversed" => standing(4, 0),
            _ => standing(1, 0),
        },
        // Issued again when its payout fails. (Rank 2 was that of processing: rows from before keep it.)
        "payout_link" => match status {
            "pending" => standing(0, 0),
            "processing" | "attempted" => standing(1, 1),
            "cancelled" | "rejected" | "expired" => standing(3, 0),
            "processed" => standing(3, 1),
            _ => standing(1, 0),
        },
        "virtual_account" | "qr_code" => standing(u8::from(status == "closed"), 0),
        _ => Standing::default(),
    }
}

/// The standing of a dispute. A later phase takes precedence over an earlier one even if that ended, since a
/// won chargeback may be challenged again. Within a phase `won`, `lost` and `closed` are final; until then
/// the status may alternate between `open` and `under_review`.
#[must_use]
pub(crate) fn standing_of_dispute(phase: Option<&str>, status: &str) -> Standing {
    let phase = match phase {
        Some("fraud" | "retrieval") => 0,
        Some("pre_arbitration") => 2,
        Some("arbitration") => 3,
        _ => 1,
    };
    let (is_final, step) = match status {
        "under_review" => (false, 1),
        "closed" => (true, 0),
        "won" => (true, 1),
        "lost" => (true, 2),
        _ => (false, 0),
    };
    standing(phase * 2 + u8::from(is_final), step)
}

/// The order of statuses as Markdown, for `docs/events.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut rows = String::new();
    for (kind, statuses) in DOCUMENTED {
        let standings = statuses.iter().map(|status| {
            let shown = format!("`{status}`");
            (standing_of(kind, Some(status)), shown)
        });
        rows.push_str(&row(kind, standings));
    }
    let disputes = DISPUTE_PHASES.iter().flat_map(|phase| {
        DISPUTE_STATUSES.iter().map(move |status| {
            let shown = format!("`{status}` ({phase})");
            (standing_of_dispute(Some(phase), status), shown)
        })
    });
    rows.push_str(&row("dispute", disputes));
    format!(
        "\n## Order of statuses\n\n\
         Webhooks arrive in any order. A status never replaces one further right, whenever it arrives. Between \
         statuses that are joined by a comma the later event prevails; at the same second, the one further right.\n\n\
         | entity | statuses |\n|---|---|\n{rows}"
    )
}

fn row(kind: &str, statuses: impl Iterator<Item = (Standing, String)>) -> String {
    let mut ranks: BTreeMap<u8, Vec<(Standing, String)>> = BTreeMap::new();
    for (standing, shown) in statuses {
        ranks
            .entry(standing.rank)
            .or_default()
            .push((standing, shown));
    }
    let ranks = ranks.into_values().map(|mut rank| {
        rank.sort_by_key(|(standing, _)| standing.step);
        let shown: Vec<_> = rank.into_iter().map(|(_, shown)| shown).collect();
        shown.join(", ")
    });
    format!("| `{kind}` | {} |\n", ranks.collect::<Vec<_>>().join(" → "))
}

#[cfg(test)]
mod tests {
    use super::{DOCUMENTED, standing_of};
    use crate::precedence::Precedence;
    use crate::time::EventTime;

    /// Documented lives, besides the straight ones of [`DOCUMENTED`].
    const LIVES: [(&str, &[&str]); 17] = [
        (
            "payment",
            &["created", "failed", "authorized", "captured", "refunded"],
        ),
        ("payment", &["created", "failed", "captured"]),
        ("payment", &["authorized", "refunded"]),
        ("order", &["created", "attempted", "paid"]),
        ("refund", &["pending", "failed"]),
        ("payment.downtime", &["started", "updated", "resolved"]),
        ("invoice", &["issued", "partially_paid", "expired"]),
        ("invoice", &["draft", "deleted"]),
        ("payment_link", &["created", "partially_paid", "cancelled"]),
        (
            "subscription",
            &[
                "authenticated",
                "active",
                "pending",
                "halted",
                "active",
                "paused",
                "active",
                "cancelled",
            ],
        ),
        ("subscription", &["created", "expired"]),
        ("settlement", &["created", "failed"]),
        (
            "transfer",
            &["pending", "processed", "partially_reversed", "reversed"],
        ),
        ("payout", &["queued", "processing", "processed", "reversed"]),
        ("payout", &["pending", "rejected"]),
        (
            "payout_link",
            &["issued", "processing", "issued", "processing", "processed"],
        ),
        (
            "payout_link",
            &["issued", "processing", "issued", "expired"],
        ),
    ];

    #[test]
    fn every_documented_step_prevails_over_the_one_before() {
        for (kind, life) in LIVES {
            let precedence = |(second, status): (i64, &&str)| {
                let at = EventTime::from_seconds(1_764_000_000 + second);
                Precedence::new(standing_of(kind, Some(status)), at, true)
            };
            let steps: Vec<_> = (0..).zip(life).map(precedence).collect();
            assert!(steps.is_sorted_by(|a, b| a < b), "{kind} {life:?}");
        }
    }

    #[test]
    fn documented_statuses_are_in_the_order_of_their_standings() {
        for (kind, statuses) in DOCUMENTED {
            let standings = statuses
                .iter()
                .map(|status| standing_of(kind, Some(status)));
            assert!(standings.is_sorted(), "{kind}");
        }
    }

    #[test]
    fn lives_use_documented_statuses() {
        for (kind, life) in LIVES {
            let (_, statuses) = DOCUMENTED.iter().find(|(of, _)| *of == kind).unwrap();
            assert!(
                life.iter().all(|status| statuses.contains(status)),
                "{kind} {life:?}"
            );
        }
    }
}
