//! `harkara migrate`.

use std::time::Duration;

use clap::Args;
use harkara_operations::database::{self, Unreachable};
use harkara_settings::Settings;
use humantime::parse_duration;

use crate::exit::Ending;
use crate::output;

/// Brings the database schema up to date
///
/// Applies the missing migrations under a lock, so it is safe to run concurrently and repeatedly. Also
/// creates the monthly partitions for the months ahead. Ingress and worker refuse to start on a
/// schema that they do not know.
///
/// With --check or --wait it changes nothing, and needs no right but to read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct MigrateOptions {
    /// Tells whether the schema is up to date: exit code 1 if it is not
    #[arg(long, conflicts_with = "wait")]
    check: bool,

    /// Waits until another `harkara migrate` has brought the schema up to date, also for a
    /// database that does not answer yet
    #[arg(long, verbatim_doc_comment)]
    wait: bool,

    /// Ends the wait when PostgreSQL cannot be reached, for an ingress: it starts without
    #[arg(long, requires = "wait")]
    or_unreachable: bool,

    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "wait", value_parser = parse_duration)]
    timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  harkara migrate
  HARKARA__POSTGRES__URL=postgres://harkara@db:5432/harkara harkara migrate
  harkara migrate --wait --timeout 2m        before a process starts, while a job migrates";

/// Applies the missing migrations and makes the partitions of the months ahead; or looks whether that is done.
pub(crate) async fn run(settings: &Settings, options: &MigrateOptions) -> anyhow::Result<Ending> {
    let postgres = &settings.postgres;
    if options.check {
        database::open(postgres).await?;
    } else if options.wait {
        let waiting = |reason: &str| output::note(format!("waiting: {reason}"));
        let unreachable = if options.or_unreachable {
            Unreachable::GoesOn
        } else {
            Unreachable::Waits
        };
        let waited = database::wait_for_schema(postgres, options.timeout, unreachable, waiting);
        if let Some(reason) = waited.await? {
            output::line(format!("going on, the schema is unknown: {reason}"))?;
            return Ok(Ending::Done);
        }
    } else {
        for version in database::migrate(postgres).await? {
            output::line(format!("applied {version}"))?;
        }
    }
    output::line("the schema is up to date")?;
    Ok(Ending::Done)
}
