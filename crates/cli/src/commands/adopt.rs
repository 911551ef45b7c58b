//! `harkara adopt`.

use anyhow::bail;
use clap::Args;
use harkara_operations::adoption::{self, Adoption, AdoptionReport};
use harkara_operations::wording::counted;
use harkara_operations::{Actor, database};
use harkara_settings::Settings;

use crate::arguments::{actor, current_user};
use crate::commands::question;
use crate::exit::Ending;
use crate::output;

/// Gives the streams in Redis to this deployment
///
/// Every ingress and worker refuses streams that are marked with another deployment.name or another
/// ledger. Use this command when they are the right ones nevertheless: after the deployment was
/// renamed, or moved to another database. Whatever is in the streams will be processed into this
/// database. Writes an audit row with the name of who did it.
///
/// Refuses while workers of the other deployment are active.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct AdoptOptions {
    /// Adopts the streams of another deployment without asking
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
  harkara adopt
  harkara adopt --yes --actor asha";

/// Marks the streams of the settings as those of this deployment.
pub(crate) async fn run(settings: &Settings, options: &AdoptOptions) -> anyhow::Result<Ending> {
    let actor = options.actor.clone().map_or_else(current_user, Ok)?;
    let pool = database::open(&settings.postgres).await?;
    let adoption = adoption::examine(settings, &pool).await?;
    adoption.check_unused()?;
    confirm(&adoption, options.yes)?;
    let report = adoption.adopt(&pool, &actor).await?;
    output::report(options.json, &report, write_lines)?;
    Ok(Ending::Done)
}

fn confirm(adoption: &Adoption<'_>, is_confirmed: bool) -> anyhow::Result<()> {
    let Some(owner) = adoption.owner().filter(|_| !is_confirmed) else {
        return Ok(());
    };
    let entries = counted(adoption.entries(), "entry");
    let unasked = format!(
        "the streams are those of {owner}, with {entries}; confirm with --yes to adopt them"
    );
    let question = format!("Adopt the streams of {owner}, with {entries}?");
    if question::is_confirmed(&question, unasked)? {
        return Ok(());
    }
    bail!("nothing was adopted")
}

fn write_lines(report: &AdoptionReport) -> anyhow::Result<()> {
    let streams = &report.streams;
    if !report.adopted {
        output::line(format!(
            "the streams {streams}:* are this deployment's already"
        ))?;
        return Ok(());
    }
    let entries = counted(report.entries, "entry");
    output::line(format!(
        "adopted the streams {streams}:* with {entries}; start the workers"
    ))?;
    Ok(())
}
