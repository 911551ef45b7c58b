//! `harkara replay`.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, ValueEnum};
use harkara_operations::wording::counted;
use harkara_settings::Settings;
use harkara_storage::ledger::{self, EventStatus, ReplayCount, ReplaySelection};
use serde::Serialize;

use crate::arguments::moment;
use crate::exit::{Ending, UsedWrongly};
use crate::output;
use harkara_operations::database;

/// Longest name of an actor, which stands in every audit row.
const ACTOR_CHARACTERS_MAX: usize = 64;

/// Puts events back to pending, so that the worker processes them again
///
/// Failed events are the dead letters. Processing again is safe: an event that has had its effect has
/// no second one. Each replayed event gets an audit row that names who did it.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = EXAMPLES,
    group = ArgGroup::new("selection").required(true).args(["event_id", "status"])
)]
pub(crate) struct ReplayOptions {
    /// This event alone
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,

    /// Every event of this status
    #[arg(long)]
    status: Option<Replayable>,

    /// Only events of this name
    #[arg(long = "type", value_name = "EVENT", conflicts_with = "event_id")]
    event_type: Option<String>,

    /// Received since this time (RFC 3339) or span back from now (90m, 1h, 7d)
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "event_id")]
    since: Option<DateTime<Utc>>,

    /// Counts the events, and changes nothing
    #[arg(long)]
    dry_run: bool,

    /// Replays more than one event without asking
    #[arg(long)]
    yes: bool,

    /// Who is doing this, for the audit [default: the user's name]
    #[arg(long, value_name = "NAME", value_parser = actor)]
    actor: Option<String>,

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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Replayable {
    Failed,
    Processed,
}

#[derive(Serialize)]
struct ReplayJson<'a> {
    dry_run: bool,
    replayable: u64,
    already_pending: u64,
    replayed: u64,
    actor: Option<&'a str>,
}

/// Counts what is selected, and replays it unless this is a dry run.
pub(crate) async fn run(settings: &Settings, options: &ReplayOptions) -> anyhow::Result<Ending> {
    let selection = ReplaySelection {
        event_id: options.event_id.clone(),
        status: options.status.map(|status| match status {
            Replayable::Failed => EventStatus::Failed,
            Replayable::Processed => EventStatus::Processed,
        }),
        event_type: options.event_type.clone(),
        since: options.since,
    };
    let actor = if options.dry_run {
        None
    } else {
        Some(actor_of(options)?)
    };

    let pool = database::open(&settings.postgres).await?;
    let count = ledger::count_replayable(&pool, &selection).await?;
    if let Some(id) = &options.event_id
        && count
            == (ReplayCount {
                replayable: 0,
                already_pending: 0,
            })
    {
        bail!("no event has the id {id:?}; `harkara events` lists those that were received");
    }
    let replayed = match &actor {
        Some(actor) if count.replayable > 0 => {
            confirm(count.replayable, options.yes)?;
            ledger::replay(&pool, &selection, actor).await?
        }
        _ => 0,
    };
    if options.json {
        output::json(&ReplayJson {
            dry_run: options.dry_run,
            replayable: count.replayable,
            already_pending: count.already_pending,
            replayed,
            actor: actor.as_deref(),
        })?;
    } else {
        tell(options.dry_run, count, replayed)?;
    }
    Ok(Ending::Done)
}

fn tell(is_dry_run: bool, count: ReplayCount, replayed: u64) -> io::Result<()> {
    if is_dry_run {
        output::line(format!(
            "{} would be replayed",
            counted(count.replayable, "event")
        ))?;
    } else if count.replayable == 0 {
        output::line("nothing to replay")?;
    } else {
        let them = if replayed == 1 { "it is" } else { "they are" };
        output::line(format!(
            "{} put back to pending; follow with `harkara events --status pending` until {them} processed",
            counted(replayed, "event")
        ))?;
    }
    if count.already_pending > 0 {
        output::line(format!(
            "{} pending already, left alone",
            counted(count.already_pending, "event")
        ))?;
    }
    Ok(())
}

/// One event is replayed at once; for more, someone must have said yes.
fn confirm(number: u64, is_confirmed: bool) -> anyhow::Result<()> {
    if number <= 1 || is_confirmed {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(UsedWrongly(format!(
            "{number} events would be replayed; add --yes to do it, or --dry-run to only count them"
        ))
        .into());
    }
    write!(io::stderr(), "Replay {number} events? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    bail!("nothing was replayed")
}

fn actor_of(options: &ReplayOptions) -> Result<String, UsedWrongly> {
    // Under sudo the second names root, and the first who that is.
    let user = || {
        ["SUDO_USER", "USER", "LOGNAME"]
            .into_iter()
            .find_map(|name| actor(&std::env::var(name).ok()?).ok())
    };
    let name = options.actor.clone().or_else(user).ok_or_else(|| {
        UsedWrongly(
            "the audit needs to know who does this, and USER is not set; give --actor NAME"
                .to_owned(),
        )
    })?;
    Ok(format!("operator:{name}"))
}

fn actor(name: &str) -> Result<String, String> {
    let is_plain = !name.chars().any(char::is_control);
    if name.is_empty() || name.chars().count() > ACTOR_CHARACTERS_MAX || !is_plain {
        return Err(format!(
            "a name has 1 to {ACTOR_CHARACTERS_MAX} visible characters"
        ));
    }
    Ok(name.to_owned())
}
