//! The arguments that commands share. Those of one command are with it.

mod actor;
mod moment;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use harkara_core::secret::Secret;
use harkara_operations::events::EventStatus;
use harkara_settings::{Settings, SettingsError};
use strum::IntoStaticStr;

use crate::commands::adopt::AdoptOptions;
use crate::commands::completions::CompletionsOptions;
use crate::commands::doctor::DoctorOptions;
use crate::commands::events::EventsOptions;
use crate::commands::grants::GrantsOptions;
use crate::commands::lag::LagOptions;
use crate::commands::load::LoadOptions;
use crate::commands::migrate::MigrateOptions;
use crate::commands::probe::ProbeOptions;
use crate::commands::reference::Page;
use crate::commands::replay::ReplayOptions;
use crate::commands::secrets::SecretsOptions;
use crate::commands::trigger::TriggerOptions;

pub(crate) use actor::{actor, current_user};
pub(crate) use moment::{moment, now};

/// Operates Harkara, which receives Razorpay webhooks and keeps them in PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "harkara", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A TOML file of settings, instead of the one that `HARKARA_CONFIG` names;
    /// environment variables such as `HARKARA__POSTGRES__URL` override it
    #[arg(long, global = true, value_name = "FILE", verbatim_doc_comment)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  harkara migrate                                bring the database schema up to date
  harkara trigger payment.captured --follow      send a signed example and follow it
  harkara events --status failed --since 1d      list the dead letters of the last day
  harkara events show Qm3VYnYxK1cGtd             show one event
  harkara replay --status failed --dry-run       count the events that a replay would process again
  harkara lag                                    show the backlog and how fast it drains
  harkara secrets                                show which webhook secrets are in use
  harkara load --rate 500 --duration 1m          prove that nothing is lost or doubled
  harkara doctor                                 check the stores and the settings
  harkara adopt                                  give the streams to a deployment that moved
  harkara probe worker                           ask a process whether it is ready
  harkara grants --role worker                   print what a worker's role of PostgreSQL needs

Exit codes: 0 done, 1 failed, 2 usage error.";

/// Its text is its name on the command line.
#[derive(Debug, IntoStaticStr, Subcommand)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Command {
    Migrate(MigrateOptions),
    Trigger(TriggerOptions),
    Events(EventsOptions),
    Replay(ReplayOptions),
    Lag(LagOptions),
    Secrets(SecretsOptions),
    Load(LoadOptions),
    Doctor(DoctorOptions),
    Adopt(AdoptOptions),
    Probe(ProbeOptions),
    Grants(GrantsOptions),
    Completions(CompletionsOptions),
    /// Prints a generated page of the documentation
    #[command(hide = true)]
    Reference {
        /// Which page.
        page: Page,
        /// Where manual pages are written to.
        #[arg(required_if_eq("page", "man-pages"))]
        folder: Option<PathBuf>,
    },
}

/// Parses a secret, which must not be empty.
pub(crate) fn secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() {
        return Err("a secret must not be empty".to_owned());
    }
    Ok(Secret::new(text))
}

/// Parses one of these statuses.
pub(crate) fn status(of: &[EventStatus]) -> impl TypedValueParser<Value = EventStatus> {
    let names: Vec<&str> = of.iter().map(|status| status.as_str()).collect();
    PossibleValuesParser::new(names).try_map(|name| name.parse::<EventStatus>())
}

impl Arguments {
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref())
    }
}
