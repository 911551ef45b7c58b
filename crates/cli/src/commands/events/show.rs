//! `harkara events show`.

use clap::Args;
use harkara_core::visible::visible;
use harkara_operations::database;
use harkara_operations::events::{self, Change, EventDetails, EventRow, SignatureCheck};
use harkara_settings::Settings;

use crate::exit::Ending;
use crate::output::{self, rfc3339};

/// Shows one event with everything that is known about it
///
/// Its ledger row, the rows that it changed, its error, its trace, and whether its signature still
/// verifies under a configured secret. Only --body prints the body: it holds personal data.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct ShowOptions {
    /// The event's id, as Razorpay sent it in X-Razorpay-Event-Id
    #[arg(value_name = "EVENT-ID")]
    event_id: String,

    /// Prints the exact bytes of the body, and nothing else; on a terminal its text, escaped
    #[arg(long, conflicts_with = "json")]
    body: bool,

    /// Prints one JSON document: an object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  harkara events show Qm3VYnYxK1cGtd
  harkara events show Qm3VYnYxK1cGtd --json
  harkara events show Qm3VYnYxK1cGtd --body | python3 -m json.tool";

/// Shows an event, or prints its body alone.
pub(super) async fn run(settings: &Settings, options: &ShowOptions) -> anyhow::Result<Ending> {
    let pool = database::open(&settings.postgres).await?;
    let id = options.event_id.as_str();
    if options.body {
        output::bytes(&events::body(&pool, id).await?)?;
        return Ok(Ending::Done);
    }
    let details = events::show(&pool, settings, id).await?;
    output::report(options.json, &details, write_fields)?;
    Ok(Ending::Done)
}

fn write_fields(details: &EventDetails) -> anyhow::Result<()> {
    for (name, value) in fields(details) {
        output::line(format!("{name:<16}{}", visible(&value)))?;
    }
    Ok(())
}

/// The lines of an event: a name, and a value.
fn fields(details: &EventDetails) -> Vec<(&'static str, String)> {
    let event = &details.event;
    let row = &event.row;
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let took = event.commit_ms.map(|ms| format!(", {ms} ms after receipt"));
    let took = took.unwrap_or_default();
    let processed = row.processed_at.map(|at| format!("{}{took}", rfc3339(at)));
    let body = format!("{} bytes, SHA-256 {}", row.body_bytes, details.body_sha256);
    let mut fields = vec![
        ("event id", row.razorpay_event_id.clone()),
        ("event", row.event_type.clone()),
        ("status", row.status.to_string()),
        ("error", or_none(row.error.clone())),
        ("account", or_none(row.account_id.clone())),
        ("endpoint", row.endpoint.clone()),
        ("lane", row.lane.clone()),
        ("occurred", or_none(row.occurred_at.map(rfc3339))),
        ("received", rfc3339(row.created_at)),
        ("processed", or_none(processed)),
        ("attempts", row.attempts.to_string()),
        ("next attempt", or_none(row.next_attempt_at.map(rfc3339))),
        ("delivered again", delivered_again(row)),
        ("trace id", or_none(event.trace_id.clone())),
        ("durability", or_none(row.durability.clone())),
        ("signature", details.signature.clone()),
        ("", verdict(details.signature_check)),
        ("secret", or_none(row.secret_fingerprint.clone())),
        ("body", body),
    ];
    if details.changes.is_empty() {
        fields.push(("changed", "no status of any entity".to_owned()));
    }
    let names = std::iter::once("changed").chain(std::iter::repeat(""));
    fields.extend(names.zip(details.changes.iter().map(change)));
    fields
}

fn delivered_again(row: &EventRow) -> String {
    match (row.duplicates, row.other_id_duplicates) {
        (0, 0) => "no".to_owned(),
        (same, 0) => format!("{same} times"),
        (same, other) => format!("{same} times, and {other} times under another id"),
    }
}

fn verdict(check: SignatureCheck) -> String {
    match check {
        SignatureCheck::Verifies {
            secret_position,
            secrets,
        } => {
            let newest = if secret_position == 0 {
                ", the newest"
            } else {
                ""
            };
            format!(
                "verifies under secret {} of {secrets}{newest}",
                secret_position + 1
            )
        }
        SignatureCheck::DoesNotVerify { secrets } => {
            format!(
                "verifies under none of the {secrets} configured secrets: its secret was removed"
            )
        }
        SignatureCheck::NoSecrets => {
            "cannot be checked: no secret of the endpoint is configured here".to_owned()
        }
    }
}

/// `payment_transactions pay_…: authorized → captured`.
fn change(change: &Change) -> String {
    let row = format!("{} {}", change.table_name, change.entity_id);
    match (&change.from_status, &change.to_status) {
        (Some(from), Some(to)) => format!("{row}: {from} → {to}"),
        (None, Some(to)) => format!("{row}: {to}"),
        _ => row,
    }
}
