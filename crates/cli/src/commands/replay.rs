//! `harkara replay`.

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args};
use harkara_operations::events::{EventFilter, EventStatus};
use harkara_operations::replay::{self, Replay, ReplayReport, ReplaySelection};
use harkara_operations::wording::counted;
use harkara_operations::{Actor, database};
use harkara_settings::Settings;
use harkara_storage::Pool;

use crate::arguments::{actor, current_user, moment, status};
use crate::commands::question;
use crate::exit::Ending;
use crate::output::{self, rfc3339};
use crate::walk::{Interrupt, Progress};

/// Events to count before the question whether to replay them.
const ASKED_COUNT_MAX: u64 = 10_000;

/// Puts events back to pending, so that the worker processes them again
///
/// Failed events are the dead letters. Replaying is safe: an event never takes effect twice. Each
/// replayed event gets an audit row with the name of who did it.
///
/// Many events are replayed newest first, in steps of up to 2000, each in a transaction of its own.
/// Ctrl-C ends the command after a step, and it prints how to go on. A replayed event is stored again
/// before PostgreSQL reuses the room of its former version, so replay millions of them in parts.
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

    /// Received before this time (RFC 3339) or duration before now
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "event_id")]
    before: Option<DateTime<Utc>>,

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
    let actor = if options.dry_run {
        None
    } else {
        Some(options.actor.clone().map_or_else(current_user, Ok)?)
    };
    let pool = database::open(&settings.postgres).await?;
    let report = match (&options.event_id, actor) {
        (Some(event_id), Some(actor)) => replay::replay_event(&pool, event_id, actor).await?,
        (Some(event_id), None) => replay::preview_event(&pool, event_id).await?,
        (None, actor) => many(&pool, options, actor).await?,
    };
    output::report(options.json, &report, write_lines)?;
    Ok(Ending::of(report.left_before.is_none()))
}

/// Counts or replays many events.
async fn many(
    pool: &Pool,
    options: &ReplayOptions,
    actor: Option<Actor>,
) -> anyhow::Result<ReplayReport> {
    let all = EventFilter::all();
    let selection = ReplaySelection {
        // The arguments require it where no event is named.
        status: options.status.unwrap_or(EventStatus::Failed),
        event_type: options.event_type.clone(),
        since: options.since.unwrap_or(all.since),
        before: options.before.unwrap_or(all.before),
    };
    let Some(actor) = actor else {
        let mut count = Replay::count(selection);
        take_steps(pool, &mut count, "match", |_| false).await?;
        return Ok(count.report());
    };
    if !options.yes {
        let mut count = Replay::count(selection.clone());
        take_steps(pool, &mut count, "match", |matching| {
            matching > ASKED_COUNT_MAX
        })
        .await?;
        confirm(&count)?;
    }
    // Only now: until here Ctrl-C simply ends the process.
    let interrupt = Interrupt::listen();
    let mut replay = Replay::by(actor, selection);
    let replayed = take_steps(pool, &mut replay, "replayed", |_| interrupt.is_seen()).await;
    if let (Err(_), Some(left_before)) = (&replayed, replay.report().left_before) {
        let (matching, _) = replay.so_far();
        output::note(format!(
            "{} put back to pending; to go on, add --before {}",
            counted(matching, "event"),
            rfc3339(left_before)
        ));
    }
    replayed?;
    Ok(replay.report())
}

/// Takes steps until all is done or enough, given how many events match so far.
async fn take_steps(
    pool: &Pool,
    replay: &mut Replay,
    done: &str,
    is_enough: impl Fn(u64) -> bool,
) -> anyhow::Result<()> {
    let mut progress = Progress::begin();
    while !replay.step(pool).await? {
        let (matching, looked) = replay.so_far();
        progress.tell(looked, || format!("{matching} {done}"));
        if is_enough(matching) {
            break;
        }
    }
    Ok(())
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
    if let Some(left_before) = report.left_before {
        let left_before = rfc3339(left_before);
        output::line(format!(
            "interrupted: older events are left; to go on, add --before {left_before}"
        ))?;
    }
    Ok(())
}

/// One event is replayed without a question; more need a yes.
fn confirm(count: &Replay) -> anyhow::Result<()> {
    let (matching, looked) = count.so_far();
    if matching <= 1 && looked.is_all {
        return Ok(());
    }
    let or_more = if looked.is_all { "" } else { " or more" };
    let unasked = format!(
        "this would replay {matching}{or_more} events; confirm with --yes, or count them with --dry-run"
    );
    let question = format!("Replay {matching}{or_more} events?");
    if question::is_confirmed(&question, unasked)? {
        return Ok(());
    }
    bail!("nothing was replayed")
}
