//! `harkara-faults`: injects faults while deliveries arrive, and audits the outcome of every delivery.
//! `cargo dev faults` builds everything it needs and runs it.

/// Rates and durations of a run.
mod scale;

/// A process of the product.
mod process;

/// Servers, processes and links of one fault.
mod environment;

/// `harkara load`, which delivers and audits.
mod load;

/// The outcome of a fault, and whether it was as promised.
mod finding;

/// The faults.
mod faults;

/// One fault after another, and their table.
mod round;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use harkara_testkit::Binaries;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use faults::{FAULTS, Fault};

/// The exit code of a usage error.
const EXIT_USAGE: u8 = 2;

/// Injects faults while deliveries arrive, and audits the outcome of every delivery.
///
/// Each fault has servers and processes of its own: the shipped binaries, a real Redis and a real
/// PostgreSQL, with links between them that can be cut, silenced and slowed. `harkara load` delivers and
/// audits. Prints a table in Markdown; fails if anything was lost, took effect twice or was answered
/// other than promised.
#[derive(Debug, Parser)]
#[command(name = "harkara-faults", bin_name = "cargo dev faults", version)]
struct Arguments {
    /// Only these faults; see `--list`
    #[arg(value_name = "FAULT")]
    faults: Vec<String>,
    /// List the faults with a description
    #[arg(long)]
    list: bool,
    /// A few seconds and few deliveries for each fault, as in the tests
    #[arg(long)]
    short: bool,
    /// Determines deliveries, moments and victims; random by default, and printed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often to run everything, each time with the next seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    rounds: u64,
    /// Also write the findings as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for fault in FAULTS {
            say(format_args!("{:<24}{}", fault.name, fault.description));
        }
        return ExitCode::SUCCESS;
    }
    let selected = match select(&arguments.faults) {
        Ok(selected) => selected,
        Err(unknown) => {
            complain(format_args!(
                "there is no fault `{unknown}`; --list names them"
            ));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(&arguments, &selected) {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => complain(format_args!("{error:#}")),
    }
    ExitCode::FAILURE
}

/// The faults with these names, in the order of the table; all if there are no names.
fn select(names: &[String]) -> Result<Vec<&'static Fault>, &String> {
    let is_unknown = |name: &&String| FAULTS.iter().all(|fault| fault.name != **name);
    if let Some(unknown) = names.iter().find(is_unknown) {
        return Err(unknown);
    }
    let is_selected =
        |fault: &&Fault| names.is_empty() || names.iter().any(|name| name == fault.name);
    Ok(FAULTS.iter().filter(is_selected).collect())
}

/// Whether every promise was kept.
fn run(arguments: &Arguments, faults: &[&'static Fault]) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let scale = if arguments.short {
        scale::SHORT
    } else {
        scale::LONG
    };
    raise_open_files_limit();
    let binaries = Binaries::find()?;
    let first = arguments.seed.unwrap_or_else(rand::random);
    let mut rounds = Vec::new();
    for at in 0..arguments.rounds {
        let seed = first.wrapping_add(at);
        complain(format_args!("seed {seed}"));
        let round = runtime.block_on(round::run(&binaries, scale, seed, faults));
        say(format_args!("{}", round.table()));
        rounds.push(round);
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::to_vec_pretty(&rounds)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(rounds.iter().all(round::Round::kept_promises))
}

/// Raises our limit of open files, which the processes that we start inherit: each connection of the load takes
/// two of a link and two of the ingress.
fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        complain(format_args!(
            "cannot raise the limit of open files: {error}"
        ));
    }
}

/// Prints a line of the result.
#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

/// Prints progress or a problem.
fn complain(line: std::fmt::Arguments<'_>) {
    eprintln!("harkara-faults: {line}");
}
