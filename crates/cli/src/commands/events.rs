//! `harkara events`.

mod list;

mod show;

use clap::{Args, Subcommand};
use harkara_settings::Settings;

use crate::exit::Ending;
use list::ListOptions;
use show::ShowOptions;

/// Lists received events, or shows one
///
/// Lists without a subcommand. Failed events are the dead letters. Only `show --body` prints a
/// body, which holds personal data.
///
/// No index knows event names, accounts and endpoints, so a listing by them walks through the ledger
/// from the newest event on, and tells how far it has come. Ctrl-C ends it with what it found; give
/// --since to look less far.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    verbatim_doc_comment,
    after_help = EXAMPLES
)]
pub(crate) struct EventsOptions {
    #[command(subcommand)]
    command: Option<EventsCommand>,

    #[command(flatten)]
    list: ListOptions,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Lists received events, newest first
    #[command(after_help = EXAMPLES)]
    List(ListOptions),
    Show(ShowOptions),
}

const EXAMPLES: &str = "\
Examples:
  harkara events --limit 20
  harkara events --status failed --since 1d
  harkara events --type payment.captured --account acc_BFQ7uQEaa7j2z7 --json
  harkara events --entity pay_DESlfW9H8K9uqM
  harkara events show Qm3VYnYxK1cGtd";

/// Lists events, or shows one.
pub(crate) async fn run(settings: &Settings, options: &EventsOptions) -> anyhow::Result<Ending> {
    match &options.command {
        None => list::run(settings, &options.list).await,
        Some(EventsCommand::List(options)) => list::run(settings, options).await,
        Some(EventsCommand::Show(options)) => show::run(settings, options).await,
    }
}
