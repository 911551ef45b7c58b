//! `harkara grants`.

use clap::{Args, ValueEnum};
use harkara_storage::grants::{self, Duty};

use crate::exit::Ending;
use crate::output;

/// Longest name of a role, in bytes; PostgreSQL cuts longer ones.
const NAME_BYTES_MAX: usize = 63;

/// Prints the SQL that gives a role of PostgreSQL what one process needs, and nothing more
///
/// Create the roles, then run the output as the owner of the tables, which is the role that runs
/// `harkara migrate`. Run it again after an upgrade. It connects to nothing.
///
/// Without the owner's rights, workers add no partitions: run `harkara migrate` every day, as the
/// manifests and units in deploy/ do.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct GrantsOptions {
    /// The process that connects with the role
    #[arg(long, value_enum)]
    role: Role,

    /// The name of the role in PostgreSQL [default: harkara_ingress, harkara_worker, …]
    #[arg(long, value_name = "NAME", value_parser = name)]
    to: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  harkara grants --role ingress | psql postgres://owner@db/harkara
  harkara grants --role worker --to payments_worker";

/// A process, by what it does to the database.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Stores deliveries while Redis is away
    Ingress,
    /// Commits events
    Worker,
    /// The command line and people: reads everything, replays events
    Console,
    /// `harkara migrate`: owns the tables
    Migrate,
}

pub(crate) fn run(options: &GrantsOptions) -> anyhow::Result<Ending> {
    let (duty, default) = match options.role {
        Role::Ingress => (Duty::Ingress, "harkara_ingress"),
        Role::Worker => (Duty::Worker, "harkara_worker"),
        Role::Console => (Duty::Console, "harkara_console"),
        Role::Migrate => (Duty::Migrate, "harkara_migrate"),
    };
    let role = options.to.as_deref().unwrap_or(default);
    output::line(grants::sql(duty, role).trim_end())?;
    Ok(Ending::Done)
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!(
            "the name of a role has 1 to {NAME_BYTES_MAX} bytes and no control characters"
        ));
    }
    Ok(text.to_owned())
}
