//! The settings of every process: built-in defaults, then a TOML file, then the environment.
//!
//! They are read once, and every problem is reported together: a process with an unknown key or a bad value
//! does not start. All processes read the same settings. Each section has a file with its struct and the
//! table of its keys.

mod deployment;

mod redis;
mod sentinels;

mod postgres;
mod postgres_url;
mod server_url;

mod ingress;
mod networks;
mod rate;

mod worker;

mod lanes;

mod endpoints;
mod secrets_file;

mod log;
mod trace;

mod tls;

mod catalogue;
pub mod instance;
mod layers;
mod problem;
mod reader;
mod reference;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::Path;

use harkara_core::deployment::DeploymentName;
use harkara_core::endpoint::EndpointName;
use harkara_core::lane::LaneTable;

pub use endpoints::EndpointSettings;
pub use ingress::IngressSettings;
pub use log::{LogFormat, LogSettings};
pub use networks::Networks;
pub use postgres::{Pooler, PostgresSettings};
pub use problem::{SettingsError, SettingsProblem, ValueOrigin};
pub use rate::RateLimit;
pub use redis::RedisSettings;
pub use reference::{reference_markdown, reference_toml};
pub use secrets_file::{SecretsFileError, read_secrets_file};
pub use sentinels::SentinelSettings;
pub use server_url::ServerUrl;
pub use tls::IngressTls;
pub use trace::TraceSettings;
pub use worker::WorkerSettings;

use layers::Layer;
use reader::SettingsReader;

/// The environment variable that names the settings file if `--config` does not.
const CONFIG_VARIABLE: &str = "HARKARA_CONFIG";

/// The value of an environment variable that is no setting, such as the standard `OTEL_*`.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// All settings, parsed and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the deployment.
    pub deployment: DeploymentName,
    /// The Redis server that holds the lanes.
    pub redis: RedisSettings,
    /// The PostgreSQL database that holds the ledger.
    pub postgres: PostgresSettings,
    /// The ingress.
    pub ingress: IngressSettings,
    /// The worker.
    pub worker: WorkerSettings,
    /// The lane of each event.
    pub lanes: LaneTable,
    /// The endpoints. May be empty: only the ingress needs them.
    pub endpoints: BTreeMap<EndpointName, EndpointSettings>,
    /// Logging.
    pub log: LogSettings,
    /// Which traces are kept.
    pub trace: TraceSettings,
}

impl Settings {
    /// Reads the settings of this process: defaults, then the file (`config_path`, or else the one that
    /// `HARKARA_CONFIG` names), then the environment. Fails with every problem found.
    pub fn load(config_path: Option<&Path>) -> Result<Self, SettingsError> {
        let named_by_variable = || env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
        let path = config_path.map(OsString::from).or_else(named_by_variable);
        let mut layer = path.map_or_else(Layer::default, |path| Layer::of_file(path.as_ref()));
        layer.extend(Layer::of_environment());
        Self::parse(layer)
    }

    /// Settings from keys such as `ingress.bind` and their values; missing keys have their default. The
    /// environment is not read. For tests and embedding.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, SettingsError> {
        Self::parse(Layer::of_pairs(pairs))
    }

    fn parse(layer: Layer) -> Result<Self, SettingsError> {
        let mut reader = SettingsReader::new(layer);
        let r = &mut reader;
        let settings = Self {
            deployment: deployment::read(r),
            redis: RedisSettings::read(r),
            postgres: PostgresSettings::read(r),
            ingress: IngressSettings::read(r),
            worker: WorkerSettings::read(r),
            lanes: lanes::read(r),
            endpoints: endpoints::read(r),
            log: LogSettings::read(r),
            trace: TraceSettings::read(r),
        };
        reader.finish()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests;
