//! `harkara events show`.

use anyhow::bail;
use clap::Args;
use harkara_core::signature::encode_hex;
use harkara_settings::Settings;
use harkara_storage::ledger::{self, Change, EventDetail, EventRow};
use serde::Serialize;

use super::signature_check::{self, SignatureCheck};
use crate::commands::event_json::{ChangeJson, EventJson, commit_ms, trace_id};
use crate::exit::Ending;
use crate::output::{self, rfc3339, visible};
use harkara_operations::database;

/// Shows one event with everything that is known about it
///
/// Its ledger row, the rows that it changed, its error, its trace, and whether its signature still
/// verifies under a secret that is configured now. The body is printed only by --body: it holds
/// personal data.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct ShowOptions {
    /// The event's id, as Razorpay sent it in X-Razorpay-Event-Id
    #[arg(value_name = "EVENT-ID")]
    event_id: String,

    /// Prints the exact bytes of the body, and nothing else
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
    let ids = [options.event_id.clone()];
    let Some(event) = ledger::find(&pool, &ids).await?.into_iter().next() else {
        bail!(
            "no event has the id {:?}; `harkara events` lists those that were received",
            options.event_id
        );
    };
    if options.body {
        output::bytes(&event.body)?;
        return Ok(Ending::Done);
    }
    let changes = ledger::changes(&pool, &ids).await?;
    let check = signature_check::check(settings, &event);
    if options.json {
        write_json(&event, &changes, check)?;
    } else {
        write_lines(&event, &changes, check)?;
    }
    Ok(Ending::Done)
}

#[derive(Serialize)]
struct ShownJson<'a> {
    #[serde(flatten)]
    event: EventJson<'a>,
    body_sha256: String,
    signature: &'a str,
    signature_check: SignatureCheck,
    changes: Vec<ChangeJson<'a>>,
}

fn write_json(
    event: &EventDetail,
    changes: &[Change],
    check: SignatureCheck,
) -> anyhow::Result<()> {
    output::json(&ShownJson {
        event: EventJson::from(&event.row),
        body_sha256: encode_hex(&event.body_sha256),
        signature: &event.signature,
        signature_check: check,
        changes: changes.iter().map(ChangeJson::from).collect(),
    })?;
    Ok(())
}

fn write_lines(
    event: &EventDetail,
    changes: &[Change],
    check: SignatureCheck,
) -> anyhow::Result<()> {
    let row = &event.row;
    let field = |name: &str, value: Option<String>| {
        output::line(format!(
            "{name:<16}{}",
            value.map_or("–".to_owned(), |value| visible(&value))
        ))
    };
    field("event id", Some(row.razorpay_event_id.clone()))?;
    field("event", Some(row.event_type.clone()))?;
    field("status", Some(row.status.to_string()))?;
    field("error", row.error.clone())?;
    field("account", row.account_id.clone())?;
    field("endpoint", Some(row.endpoint.clone()))?;
    field("lane", Some(row.lane.clone()))?;
    field("occurred", row.occurred_at.map(rfc3339))?;
    field("received", Some(rfc3339(row.created_at)))?;
    let took = commit_ms(row).map_or(String::new(), |ms| {
        format!(", {ms} ms after it was received")
    });
    field(
        "processed",
        row.processed_at.map(|at| format!("{}{took}", rfc3339(at))),
    )?;
    field("attempts", Some(row.attempts.to_string()))?;
    field("next attempt", row.next_attempt_at.map(rfc3339))?;
    field("delivered again", Some(delivered_again(row)))?;
    field("trace id", trace_id(row).map(str::to_owned))?;
    field("durability", row.durability.clone())?;
    field("signature", Some(event.signature.clone()))?;
    field("", Some(check.told()))?;
    field("secret", row.secret_fingerprint.clone())?;
    field(
        "body",
        Some(format!(
            "{} bytes, SHA-256 {}",
            row.body_bytes,
            encode_hex(&event.body_sha256)
        )),
    )?;
    if changes.is_empty() {
        return Ok(field(
            "changed",
            Some("no status of any entity".to_owned()),
        )?);
    }
    for (at, change) in changes.iter().enumerate() {
        field(if at == 0 { "changed" } else { "" }, Some(told(change)))?;
    }
    Ok(())
}

fn delivered_again(row: &EventRow) -> String {
    match (row.duplicates, row.other_id_duplicates) {
        (0, 0) => "no".to_owned(),
        (same, 0) => format!("{same} times"),
        (same, other) => format!("{same} times, and {other} times under another id"),
    }
}

/// `payment_transactions pay_…: authorized → captured`.
fn told(change: &Change) -> String {
    let row = format!("{} {}", change.table_name, change.entity_id);
    match (&change.from_status, &change.to_status) {
        (Some(from), Some(to)) => format!("{row}: {from} → {to}"),
        (None, Some(to)) => format!("{row}: {to}"),
        _ => row,
    }
}
