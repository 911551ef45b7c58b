//! `harkara replay`.

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args};
use harkara_operations::events::EventStatus;
use harkara_operations::replay::{self, ReplayReport, ReplaySelection};
use harkara_operations::wording::counted;
use harkara_operations::{Actor, database};
use harkara_settings::Settings;

use crate::arguments::{actor, current_user, moment, status};
use crate::commands::question;
use crate::exit::Ending;
use crate::output;

/// Puts events back to pending, so that the worker processes them again
///
/// Failed events are the dead letters. Replaying is safe: an event never takes effect twice. Each
/// replayed event gets an audit row with the name of who did it.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = EXAMPLES,
    group = ArgGroup::new("selection").required(true).args(["event_id", "status"])
)]
pub(crate) struct ReplayOptions {
    /// Only this event
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,

    /// Every event with this status
    #[arg(long, value_parser = status(&[EventStatus::Failed, EventStatus::Processed]))]
    status: Option<EventStatus>,

    /// Only events with this name
    #[arg(long = "type", value_name = "EVENT", conflicts_with = "event_id")]
    event_type: Option<String>,

    /// Received since this time (RFC 3339) or duration before now (90m, 1h, 7d)
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "event_id")]
    since: Option<DateTime<Utc>>,

    /// Counts the events without changing anything
    #[arg(long)]
    dry_run: bool,

    /// Replays more than one event without asking
    #[arg(long)]
    yes: bool,

    /// The name for the audit [default: the user's name]
    #[arg(long, value_name = "NAME", value_parser = actor)]
    actor: Option<Actor>,

    /// Prints one JSON document: an object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  harkara replay --event-id Qm3VYnYxK1cGtd
  harkara replay --status failed --dry-run
  harkara replay --status failed --type invoice.paid --since 2d
  harkara replay --status processed --since 2026-11-23T10:00:00Z --yes";

/// Counts the selected events, and replays them unless this is a dry run.
pub(crate) async fn run(settings: &Settings, options: &ReplayOptions) -> anyhow::Result<Ending> {
    let selection = ReplaySelection {
        event_id: options.event_id.clone(),
        status: options.status,
        event_type: options.event_type.clone(),
        since: options.since,
    };
    let actor = if options.dry_run {
        None
    } else {
        Some(options.actor.clone().map_or_else(current_user, Ok)?)
    };
    let pool = database::open(&settings.postgres).await?;
    let mut report = replay::preview(&pool, &selection).await?;
    if let Some(actor) = actor {
        confirm(report.replayable, options.yes)?;
        report = replay::replay(&pool, &selection, report, actor).await?;
    }
    output::report(options.json, &report, write_lines)?;
    Ok(Ending::Done)
}

fn write_lines(report: &ReplayReport) -> anyhow::Result<()> {
    if report.dry_run {
        let events = counted(report.replayable, "event");
        output::line(format!("{events} would be replayed"))?;
    } else if report.replayable == 0 {
        output::line("nothing to replay")?;
    } else {
        let pronoun = if report.replayed == 1 {
            "it is"
        } else {
            "they are"
        };
        output::line(format!(
            "{} put back to pending; follow with `harkara events --status pending` until {pronoun} processed",
            counted(report.replayed, "event")
        ))?;
    }
    if report.already_pending > 0 {
        let events = counted(report.already_pending, "event");
        output::line(format!("{events} already pending, left alone"))?;
    }
    Ok(())
}

/// One event is replayed without a question; more need a yes.
fn confirm(number: u64, is_confirmed: bool) -> anyhow::Result<()> {
    if number <= 1 || is_confirmed {
        return Ok(());
    }
    let unasked = format!(
        "this would replay {number} events; confirm with --yes, or count them with --dry-run"
    );
    if question::is_confirmed(&format!("Replay {number} events?"), unasked)? {
        return Ok(());
    }
    bail!("nothing was replayed")
}
