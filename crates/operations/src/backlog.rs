//! The backlog: how much waits, how old it is, and how fast it drains.

use harkara_settings::Settings;
use harkara_storage::StorageError;
use harkara_streams::backlog::{Observer, Report};

use crate::database;

pub use harkara_storage::ledger::DUE_COUNTED_MAX;

/// A dependency without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{server} at {address} did not answer: {reason}")]
pub struct Unavailable {
    server: &'static str,
    address: String,
    reason: String,
    setting: &'static str,
}

impl Unavailable {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        format!(
            "check that it is running and that {} is correct",
            self.setting
        )
    }
}

/// An observer of the streams and the ledger of the settings.
pub fn observer(settings: &Settings) -> Result<Observer, StorageError> {
    let database = database::pool(&settings.postgres)?;
    let redis = harkara_streams::pool(&settings.redis);
    Ok(Observer::of(settings, redis, database))
}

/// The dependencies that did not answer.
#[must_use]
pub fn unavailable(settings: &Settings, report: &Report) -> Vec<Unavailable> {
    let problem = |(name, reason): (&str, String)| match name {
        "redis" => Unavailable {
            server: "Redis",
            address: harkara_streams::address(&settings.redis),
            reason,
            setting: "redis.url (HARKARA__REDIS__URL)",
        },
        _ => Unavailable {
            server: "PostgreSQL",
            address: harkara_storage::address(&settings.postgres.url),
            reason,
            setting: "postgres.url (HARKARA__POSTGRES__URL)",
        },
    };
    report.faults().into_iter().map(problem).collect()
}
