//! `harkara doctor`: whether everything that the settings name can be used, and what to do where it cannot.
//!
//! Each file looks at one area: it asks, and then judges what it was told in functions of their own. Nothing
//! is written anywhere, and what is away hides nothing of the rest.

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
mod words;

use std::time::SystemTime;

use clap::Args;
use harkara_settings::{Settings, SettingsError};
use serde::Serialize;

use crate::exit::Ending;
use crate::output::{self, Align, Table, counted};
use connections::Processes;
use finding::{Finding, Status};

/// Checks everything that the settings name, and tells what to do
///
/// Connects to Redis (and its sentinels) and to PostgreSQL as ingress and worker do, and tells line by
/// line what it finds: versions and what they can, durability, memory, the disk, replicas, lanes and
/// who works on them, schema, indexes, partitions, connections, clocks, endpoints, TLS. Whatever is
/// away, the rest is still told. It writes nothing. Every question has a bound of eight seconds, so
/// that it ends within two minutes however little answers.
///
/// `PROBLEM` is what keeps a process from starting, or refuses, loses or holds up deliveries;
/// `warning` is a risk, or something that a start mends by itself.
///
/// Exit codes: 0 no problem, 1 a problem, 2 used wrongly.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct DoctorOptions {
    /// How many ingresses run with these settings
    #[arg(long, value_name = "N", default_value_t = 1)]
    ingresses: u16,

    /// How many workers do; both count for the connections to PostgreSQL
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: u16,

    /// Ends with 1 where there is only a warning, too
    #[arg(long)]
    strict: bool,

    /// Prints one JSON document: an object with an array of findings
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  harkara doctor
  harkara doctor --ingresses 3 --workers 6
  harkara doctor --strict --json";

/// The report as JSON.
#[derive(Debug, Serialize)]
struct ReportJson {
    /// The worst of all.
    status: Status,
    findings: Vec<Finding>,
}

/// Looks at everything, and tells it. Settings that cannot be used are a finding too.
pub(crate) async fn run(
    settings: Result<Settings, SettingsError>,
    options: &DoctorOptions,
) -> anyhow::Result<Ending> {
    let findings = match settings {
        Ok(settings) => examine(&settings, options).await,
        Err(faults) => settings::invalid(&faults),
    };
    let report = ReportJson {
        status: worst(&findings),
        findings,
    };
    if options.json {
        output::json(&report)?;
    } else {
        write_table(&report.findings)?;
    }
    Ok(ending(report.status, options.strict))
}

async fn examine(settings: &Settings, options: &DoctorOptions) -> Vec<Finding> {
    let processes = Processes {
        ingresses: options.ingresses,
        workers: options.workers,
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
    // Within an area in the order in which it was found.
    findings.sort_by_key(|finding| finding.area);
    findings
}

fn worst(findings: &[Finding]) -> Status {
    let statuses = findings.iter().map(|finding| finding.status);
    statuses.max().unwrap_or(Status::Ok)
}

fn ending(worst: Status, strict: bool) -> Ending {
    match worst {
        Status::Ok => Ending::Done,
        Status::Warning if !strict => Ending::Done,
        Status::Warning | Status::Problem => Ending::NotAllDone,
    }
}

fn write_table(findings: &[Finding]) -> anyhow::Result<()> {
    let columns = [
        ("STATUS", Align::Left),
        ("AREA", Align::Left),
        ("CHECK", Align::Left),
        ("FOUND", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for finding in findings {
        table.row([
            finding.status.to_string(),
            finding.area.to_string(),
            finding.check.clone(),
            finding.told.clone(),
        ]);
        if let Some(remedy) = &finding.remedy {
            table.below(&format!("→ {remedy}"));
        }
    }
    table.print()?;
    output::line(format!("\n{}", summary(findings)))?;
    Ok(())
}

fn summary(findings: &[Finding]) -> String {
    let n = |status: Status| {
        let of_status = findings.iter().filter(|finding| finding.status == status);
        u64::try_from(of_status.count()).unwrap_or(u64::MAX)
    };
    format!(
        "{}, {}, {} ok",
        counted(n(Status::Problem), "problem"),
        counted(n(Status::Warning), "warning"),
        n(Status::Ok)
    )
}

#[cfg(test)]
mod tests {
    use super::finding::Area;
    use super::*;

    #[test]
    fn a_warning_fails_only_where_it_is_to_and_a_problem_always() {
        for (status, strict, expected) in [
            (Status::Ok, true, Ending::Done),
            (Status::Warning, false, Ending::Done),
            (Status::Warning, true, Ending::NotAllDone),
            (Status::Problem, false, Ending::NotAllDone),
        ] {
            assert_eq!(ending(status, strict), expected, "{status:?} {strict}");
        }
    }

    #[test]
    fn the_worst_finding_is_the_report_s_and_all_are_counted() {
        let findings = [
            Area::Redis.ok("a", "b"),
            Area::Redis.problem("a", "b", "c"),
            Area::Tls.warning("a", "b", "c"),
            Area::Tls.warning("a", "b", "c"),
        ];
        assert_eq!(worst(&findings), Status::Problem);
        assert_eq!(summary(&findings), "1 problem, 2 warnings, 1 ok");
    }
}
