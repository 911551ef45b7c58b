//! The words of the command line. Each command's own stand with the command.

mod moment;

mod span;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use harkara_core::secret::Secret;
use harkara_settings::{Settings, SettingsError};

use crate::commands::doctor::DoctorOptions;
use crate::commands::events::EventsOptions;
use crate::commands::lag::LagOptions;
use crate::commands::load::LoadOptions;
use crate::commands::reference::Page;
use crate::commands::replay::ReplayOptions;
use crate::commands::secrets::SecretsOptions;
use crate::commands::trigger::TriggerOptions;

pub(crate) use moment::{moment, now};
pub(crate) use span::span;

/// Operates Harkara, which receives Razorpay webhooks and keeps them in PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "harkara", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A TOML file of settings, in place of the one that `HARKARA_CONFIG` names;
    /// environment variables such as `HARKARA__POSTGRES__URL` go before it
    #[arg(long, global = true, value_name = "FILE", verbatim_doc_comment)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  harkara migrate                                bring the database's schema up to date
  harkara trigger payment.captured --follow      send a signed example and watch what becomes of it
  harkara events --status failed --since 1d      the dead letters of the last day
  harkara events show Qm3VYnYxK1cGtd             one event with everything that is known about it
  harkara replay --status failed --dry-run       how many events a replay would process again
  harkara lag                                    how much waits, and how long it takes
  harkara secrets                                which webhook secrets are in use, and which can go
  harkara load --rate 500 --duration 1m          prove that nothing is lost or doubled
  harkara doctor                                 what is wrong with the stores and the settings

Exit codes: 0 done, 1 failed, 2 used wrongly.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Brings the database's schema up to date
    ///
    /// Applies the migrations that are missing, under a lock: safe to run from many places at once, and
    /// again. Also keeps the monthly partitions of the months ahead ready. Ingress and worker refuse to
    /// start on a schema that they do not know.
    #[command(verbatim_doc_comment, after_help = MIGRATE_EXAMPLES)]
    Migrate,
    Trigger(TriggerOptions),
    Events(EventsOptions),
    Replay(ReplayOptions),
    Lag(LagOptions),
    Secrets(SecretsOptions),
    Load(LoadOptions),
    Doctor(DoctorOptions),
    /// Prints a generated page of the documentation
    #[command(hide = true)]
    Reference {
        /// Which page.
        page: Page,
    },
}

const MIGRATE_EXAMPLES: &str = "\
Examples:
  harkara migrate
  HARKARA__POSTGRES__URL=postgres://harkara@db:5432/harkara harkara migrate";

/// Reads a secret, which is not empty.
pub(crate) fn secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() {
        return Err("a secret is not empty".to_owned());
    }
    Ok(Secret::new(text))
}

impl Command {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Trigger(_) => "trigger",
            Self::Events(_) => "events",
            Self::Replay(_) => "replay",
            Self::Lag(_) => "lag",
            Self::Secrets(_) => "secrets",
            Self::Load(_) => "load",
            Self::Doctor(_) => "doctor",
            Self::Reference { .. } => "reference",
        }
    }
}

impl Arguments {
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_defined_soundly() {
        Arguments::command().debug_assert();
    }
}
