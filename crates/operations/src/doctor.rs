//! Checks every configured dependency and suggests a fix for each problem.
//!
//! Each module checks one area: it queries, then judges the answers in functions without I/O. Nothing is
//! written anywhere, and what is unavailable hides nothing of the rest.

mod clocks;
mod connections;
mod deployment;
mod endpoints;
mod finding;
mod health;
mod postgres;
mod probe;
mod production;
mod redis;
mod schema;
mod sentinels;
mod streams;
mod tables;
mod tls;

use std::time::SystemTime;

use harkara_settings::{Settings, SettingsError, SettingsProblem};
use harkara_storage::grants::Process;
use harkara_streams::Deployment;
use serde::Serialize;

pub use connections::Processes;
pub use finding::{Area, Finding, Status};

/// All findings of an examination.
#[derive(Debug, Serialize)]
pub struct DoctorReport {
    /// The worst status of all findings.
    pub status: Status,
    /// By area, and within an area in the order of the checks.
    pub findings: Vec<Finding>,
}

/// What is examined.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// How many processes run with these settings.
    pub processes: Processes,
    /// The process that has these settings; `None` if all have them.
    pub role: Option<Process>,
    /// Whether to check what only production needs.
    pub production: Option<Production>,
}

/// What a check for production has to be told.
#[derive(Clone, Copy, Debug)]
pub struct Production {
    /// Whether the environment names a receiver of traces.
    pub exports_traces: bool,
}

impl Scope {
    /// The process whose rights are checked. What a worker may do is enough for all that receive and process.
    fn process(self) -> Process {
        self.role.unwrap_or(Process::Worker)
    }
}

/// Checks everything that the settings name. Each problem of the settings is a finding, and then the only
/// kind of finding.
///
/// Every probe has a bound of eight seconds.
pub async fn examine(settings: Result<&Settings, &SettingsError>, scope: Scope) -> DoctorReport {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return DoctorReport::new(error.problems().iter().map(invalid).collect()),
    };
    let deployment = Deployment::of(settings);
    let (sentinels, redis, postgres) = tokio::join!(
        sentinels::examine(settings),
        redis::examine(settings),
        postgres::examine(settings, &deployment, scope),
    );
    let valid = Area::Settings.check("valid");
    let mut findings = vec![valid.ok("every setting is known and valid")];
    findings.extend(endpoints::examine(settings, scope.role));
    findings.extend(tls::examine(settings, SystemTime::now()));
    if let Some(Production { exports_traces }) = scope.production {
        findings.extend(Box::pin(production::examine(settings, exports_traces)).await);
    }
    findings.extend(sentinels);
    findings.extend(redis);
    findings.extend(postgres);
    findings.extend(deployment::examine(settings, &deployment).await);
    findings.sort_by_key(|finding| finding.area);
    DoctorReport::new(findings)
}

fn invalid(problem: &SettingsProblem) -> Finding {
    Area::Settings.check("valid").problem(
        problem.to_string(),
        "correct it; no process starts with these settings (docs/configuration.md lists all)",
    )
}

impl DoctorReport {
    fn new(findings: Vec<Finding>) -> Self {
        let statuses = findings.iter().map(|finding| finding.status);
        Self {
            status: statuses.max().unwrap_or(Status::Ok),
            findings,
        }
    }

    /// How many findings have this status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|f| f.status == status).count()
    }
}
