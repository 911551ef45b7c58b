//! `harkara doctor`.

use clap::Args;
use harkara_operations::doctor::{DoctorReport, Processes, Production, Scope, Status, examine};
use harkara_operations::wording::counted;
use harkara_settings::{Settings, SettingsError};

use crate::commands::grants::Role;
use crate::exit::Ending;
use crate::output::{self, Table};
use crate::traced::Call;

/// Checks every configured dependency and suggests a fix
///
/// Connects to Redis (and its sentinels) and to PostgreSQL as ingress and worker do, and reports
/// line by line: versions and features, durability, memory, the disk, replicas, lanes and their
/// consumers, schema, indexes, partitions, connections, clocks, endpoints, TLS. If one dependency
/// is unavailable, the others are still checked. It writes nothing. Every probe has a bound of
/// eight seconds, and the command ends within two minutes.
///
/// A `PROBLEM` keeps a process from starting, or refuses, loses or holds up deliveries; a `warning`
/// is a risk, or something that the next start repairs.
///
/// Exit codes: 0 no problem, 1 a problem, 2 usage error.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct DoctorOptions {
    /// The process that has these settings: checks what it needs, and no more
    #[arg(long, value_enum, value_name = "PROCESS")]
    role: Option<Role>,

    /// Number of ingresses that run with these settings
    #[arg(long, value_name = "N", default_value_t = 1)]
    ingresses: u16,

    /// Number of workers; both count towards the connections to PostgreSQL
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: u16,

    /// Also checks what only production needs, such as passwords; implies --strict
    #[arg(long)]
    production: bool,

    /// Exits with 1 for a warning, too
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
  harkara doctor --role ingress --production
  harkara doctor --strict --json";

/// Checks everything and prints the findings. Settings that cannot be used are findings, too.
pub(crate) async fn run(
    call: &Call,
    settings: Result<Settings, SettingsError>,
    options: &DoctorOptions,
) -> anyhow::Result<Ending> {
    let processes = Processes {
        ingresses: options.ingresses,
        workers: options.workers,
    };
    let scope = Scope {
        processes,
        role: options.role.map(Role::process),
        production: options.production.then(|| Production {
            exports_traces: call.is_exported(),
        }),
    };
    let report = examine(settings.as_ref(), scope).await;
    output::report(options.json, &report, write_table)?;
    Ok(Ending::of(match report.status {
        Status::Ok => true,
        Status::Warning => !options.strict && !options.production,
        Status::Problem => false,
    }))
}

fn write_table(report: &DoctorReport) -> anyhow::Result<()> {
    let mut table = Table::new(&["STATUS", "AREA", "CHECK", "FOUND"], &[]);
    for finding in &report.findings {
        let status = match finding.status {
            Status::Problem => "PROBLEM".to_owned(),
            other => other.to_string(),
        };
        table.row([
            status,
            finding.area.to_string(),
            finding.check.clone(),
            finding.found.clone(),
        ]);
        if let Some(remedy) = &finding.remedy {
            table.below(&format!("→ {remedy}"));
        }
    }
    table.print()?;
    let [problems, warnings, ok] =
        [Status::Problem, Status::Warning, Status::Ok].map(|status| report.count(status) as u64);
    let (problems, warnings) = (counted(problems, "problem"), counted(warnings, "warning"));
    output::line(format!("\n{problems}, {warnings}, {ok} ok"))?;
    Ok(())
}
