//! The backlog: how much waits, how old it is, and how fast it drains.

use harkara_settings::Settings;
use harkara_storage::StorageError;
use harkara_streams::backlog::{Observer, Report};
use harkara_streams::{Deployment, ForeignStreams};

use crate::database;

pub use harkara_storage::ledger::DUE_COUNTED_MAX;

/// Why the backlog is not known: a dependency without an answer, or streams that are another deployment's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Unavailable {
    problem: String,
    remedy: String,
}

impl Unavailable {
    fn without_answer(server: &str, address: &str, reason: &str, setting: &str) -> Self {
        Self {
            problem: format!("{server} at {address} did not answer: {reason}"),
            remedy: format!("check that it is running and that {setting} is correct"),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// An observer of the streams and the ledger of the settings.
pub fn observer(settings: &Settings) -> Result<Observer, StorageError> {
    let database = database::pool(&settings.postgres)?;
    let redis = harkara_streams::pool(&settings.redis);
    Ok(Observer::of(
        settings,
        Deployment::of(settings),
        redis,
        database,
    ))
}

/// Why a report is not complete.
#[must_use]
pub fn unavailable(settings: &Settings, report: &Report) -> Vec<Unavailable> {
    let problem = |(name, reason): (&str, String)| match name {
        "redis" => Unavailable::without_answer(
            "Redis",
            &harkara_streams::address(&settings.redis),
            &reason,
            "redis.url (HARKARA__REDIS__URL)",
        ),
        "deployment" => Unavailable {
            problem: reason,
            remedy: ForeignStreams::REMEDY.to_owned(),
        },
        _ => Unavailable::without_answer(
            "PostgreSQL",
            &harkara_storage::address(&settings.postgres.url),
            &reason,
            "postgres.url (HARKARA__POSTGRES__URL)",
        ),
    };
    report.faults().into_iter().map(problem).collect()
}
