//! The settings of every process: built-in defaults, then a TOML file, then the environment.
//!
//! They are read once, parsed whole and reported whole: a process with an unknown key or a bad
//! value does not start, and says everything that is wrong. All processes read the same settings.

mod catalogue;
mod endpoints;
mod fault;
pub mod instance;
mod layers;
mod networks;
mod postgres_url;
mod rate;
mod reader;
mod reference;
mod secrets_file;
mod sections;
mod sentinels;
mod tls;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use harkara_core::endpoint::EndpointName;
use harkara_core::lane::{InvalidAssignment, LaneTable};

pub use endpoints::EndpointSettings;
pub use fault::{Fault, Origin, SettingsFaults};
pub use networks::{Networks, RAZORPAY_NETWORKS};
pub use rate::RateLimit;
pub use reference::{reference_markdown, reference_toml};
pub use secrets_file::{UnusableSecretsFile, read_secrets_file};
pub use sections::{
    IngressSettings, LogFormat, LogSettings, PostgresSettings, RedisSettings, TraceSettings,
    WorkerSettings,
};
pub use sentinels::SentinelSettings;
pub use tls::IngressTls;

use reader::Reader;

/// The environment variable that names the settings file where `--config` does not.
pub const CONFIG_VARIABLE: &str = "HARKARA_CONFIG";

/// The value of an environment variable that is no setting, such as the standard `OTEL_*`.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Everything that can be set, parsed and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Redis server that holds the lanes.
    pub redis: RedisSettings,
    /// The PostgreSQL database that holds the ledger.
    pub postgres: PostgresSettings,
    /// The ingress alone.
    pub ingress: IngressSettings,
    /// The worker alone.
    pub worker: WorkerSettings,
    /// Which event goes to which lane.
    pub lanes: LaneTable,
    /// The endpoints. May be empty: only the ingress needs them.
    pub endpoints: BTreeMap<EndpointName, EndpointSettings>,
    /// How to log.
    pub log: LogSettings,
    /// Which traces are kept.
    pub trace: TraceSettings,
}

impl Settings {
    /// Reads the settings of this process: defaults, then the file (`config_path`, or else the one
    /// that `HARKARA_CONFIG` names), then the environment. Fails with everything that is wrong.
    pub fn load(config_path: Option<&Path>) -> Result<Self, SettingsFaults> {
        let named_by_variable = || {
            env::var_os(CONFIG_VARIABLE)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        let path = config_path.map(Path::to_owned).or_else(named_by_variable);
        let mut faults = Vec::new();
        let mut given =
            path.map_or_else(layers::Layer::new, |p| layers::from_file(&p, &mut faults));
        given.extend(layers::from_environment(&mut faults));
        Self::parse(Reader::new(given, faults))
    }

    /// Settings from a map of keys such as `ingress.bind`; what it leaves out has its default. The
    /// environment is not looked at. For tests and embedding.
    pub fn from_map(map: BTreeMap<String, String>) -> Result<Self, SettingsFaults> {
        let mut faults = Vec::new();
        let given = layers::from_map(map, &mut faults);
        Self::parse(Reader::new(given, faults))
    }

    fn parse(mut reader: Reader) -> Result<Self, SettingsFaults> {
        let r = &mut reader;
        let settings = Self {
            redis: RedisSettings::read(r),
            postgres: PostgresSettings::read(r),
            ingress: IngressSettings::read(r),
            worker: WorkerSettings::read(r),
            lanes: lanes(r),
            endpoints: endpoints::read(r),
            log: LogSettings::read(r),
            trace: TraceSettings::read(r),
        };
        SettingsFaults::check(reader.finish())?;
        Ok(settings)
    }
}

fn lanes(r: &mut Reader) -> LaneTable {
    let given = r.family("lanes");
    let overrides = given
        .iter()
        .map(|(key, taken)| (key.clone(), taken.items.join(",")))
        .collect();
    LaneTable::new(&overrides).unwrap_or_else(|invalid| {
        for assignment in invalid {
            let (InvalidAssignment::UnknownKey(key) | InvalidAssignment::UnknownLane { key, .. }) =
                &assignment;
            let origin = given
                .iter()
                .find(|(given_key, _)| given_key == key)
                .map_or(Origin::Default, |(_, taken)| taken.origin.clone());
            r.fault(&format!("lanes.{key}"), origin, assignment.to_string());
        }
        LaneTable::new(&BTreeMap::new()).expect("the built-in assignment is sound")
    })
}

#[cfg(test)]
mod tests;
