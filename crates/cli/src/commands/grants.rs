//! `harkara grants`.

use clap::{Args, ValueEnum};
use harkara_storage::grants::{self, Process};

use crate::exit::Ending;
use crate::output;

/// Longest name of a role, in bytes; PostgreSQL cuts longer ones.
const NAME_BYTES_MAX: usize = 63;

/// Prints the SQL that gives a role of PostgreSQL what one process needs
///
/// Create the roles first. Run the output for `migrate` as the owner of the database, before the
/// first `harkara migrate`; run the others after it, as the role that ran it, and again after an
/// upgrade. It connects to nothing.
///
/// Without the owner's rights, workers add no partitions: run `harkara migrate` every day, as the
/// manifests and units in deploy/ do.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct GrantsOptions {
    /// The process that connects with the role
    #[arg(long, value_enum)]
    role: Role,

    /// The name of the role in PostgreSQL [default: `harkara_ingress` and so on]
    #[arg(long, value_name = "NAME", value_parser = name)]
    to: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  harkara grants --role ingress | psql postgres://owner@db/harkara
  harkara grants --role worker --to payments_worker";

/// A process, by what it does to the database.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Stores deliveries while Redis is away
    Ingress,
    /// Commits events
    Worker,
    /// The command line and people: reads everything, replays events
    Console,
    /// `harkara migrate`: owns the tables
    Migrate,
}

impl Role {
    pub(crate) fn process(self) -> Process {
        match self {
            Self::Ingress => Process::Ingress,
            Self::Worker => Process::Worker,
            Self::Console => Process::Console,
            Self::Migrate => Process::Migrate,
        }
    }

    /// The usual name of its role in PostgreSQL.
    fn name(self) -> &'static str {
        match self {
            Self::Ingress => "harkara_ingress",
            Self::Worker => "harkara_worker",
            Self::Console => "harkara_console",
            Self::Migrate => "harkara_migrate",
        }
    }
}

pub(crate) fn run(options: &GrantsOptions) -> anyhow::Result<Ending> {
    let name = options.to.as_deref().unwrap_or(options.role.name());
    output::line(grants::sql(options.role.process(), name).trim_end())?;
    Ok(Ending::Done)
}

fn name(text: &str) -> Result<String, String> {
    let is_odd = |c: char| c.is_control() || c == '$';
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(is_odd) {
        return Err(format!(
            "expected a name of 1 to {NAME_BYTES_MAX} bytes without control characters and '$'"
        ));
    }
    Ok(text.to_owned())
}
