//! Checks every configured dependency and suggests a fix for each problem.
//!
//! Each module checks one area: it queries, then judges the answers in functions without I/O. Nothing is
//! written anywhere, and what is unavailable hides nothing of the rest.

mod clock_skew;
mod clocks;
mod connections;
mod endpoints;
mod finding;
mod health;
mod postgres;
mod probe;
mod redis;
mod schema;
mod sentinels;
mod settings;
mod streams;
mod tls;

use std::time::SystemTime;

use harkara_settings::{Settings, SettingsError};
use serde::Serialize;

pub use connections::Processes;
pub use finding::{Area, Finding, Status};

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The worst status of all findings.
    pub status: Status,
    /// By area, and within an area in the order of the checks.
    pub findings: Vec<Finding>,
}

/// Checks everything that the settings name. Settings that cannot be used are findings themselves.
///
/// Every probe has a bound of eight seconds.
pub async fn examine(settings: Result<&Settings, &SettingsError>, processes: Processes) -> Report {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return Report::new(settings::invalid(error)),
    };
    let (sentinels, redis, postgres) = tokio::join!(
        sentinels::examine(settings),
        redis::examine(settings),
        postgres::examine(settings, processes),
    );
    let mut findings = vec![settings::sound()];
    findings.extend(endpoints::examine(settings));
    findings.extend(tls::examine(settings, SystemTime::now()));
    findings.extend(sentinels);
    findings.extend(redis);
    findings.extend(postgres);
    findings.sort_by_key(|finding| finding.area);
    Report::new(findings)
}

impl Report {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_report_s_and_all_are_counted() {
        let report = Report::new(vec![
            Area::Redis.ok("a", "b"),
            Area::Redis.problem("a", "b", "c"),
            Area::Tls.warning("a", "b", "c"),
            Area::Tls.warning("a", "b", "c"),
        ]);
        assert_eq!(report.status, Status::Problem);
        let counts = [Status::Problem, Status::Warning, Status::Ok].map(|s| report.count(s));
        assert_eq!(counts, [1, 2, 1]);
    }
}
