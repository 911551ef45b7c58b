//! `harkara-faults`: breaks what Harkara depends on while deliveries arrive, and audits what became of
//! every one. `cargo dev faults` builds all it needs and runs it.

/// What the command line asks for.
mod arguments;

/// How many deliveries and how long.
mod extent;

/// As many open files as the system allows.
mod files;

/// A process of the product.
mod process;

/// The stage of one fault.
mod scene;

/// `harkara load`, which delivers and audits.
mod load;

/// How long recovery took.
mod recovery;

/// What a fault did, and whether that was promised.
mod finding;

/// The faults.
mod faults;

/// One fault after another.
mod round;

/// The table of what was found.
mod table;

use std::process::ExitCode;

use anyhow::{Context, Result};
use arguments::Arguments;
use clap::Parser;
use faults::{FAULTS, Fault};
use harkara_testkit::Binaries;

/// Something was lost, doubled or answered otherwise than promised, or could not be run.
const EXIT_FAILED: u8 = 1;

/// The command line was wrong.
const EXIT_MISUSED: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for fault in FAULTS {
            say(format_args!("{:<24}{}", fault.name, fault.what));
        }
        return ExitCode::SUCCESS;
    }
    let chosen = match chosen(&arguments.faults) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            complain(format_args!(
                "there is no fault `{unknown}`; --list names them"
            ));
            return ExitCode::from(EXIT_MISUSED);
        }
    };
    match run(&arguments, &chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(error) => {
            complain(format_args!("{error:#}"));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// The faults of these names, in the order of the table; all where none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static Fault>, &String> {
    let unknown = |name: &&String| FAULTS.iter().all(|fault| fault.name != **name);
    if let Some(unknown) = names.iter().find(unknown) {
        return Err(unknown);
    }
    let is_chosen =
        |fault: &&Fault| names.is_empty() || names.iter().any(|name| name == fault.name);
    Ok(FAULTS.iter().filter(is_chosen).collect())
}

/// Whether everything was as promised.
fn run(arguments: &Arguments, faults: &[&'static Fault]) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let extent = if arguments.short {
        extent::SHORT
    } else {
        extent::LONG
    };
    files::allow_all();
    let binaries = Binaries::find()?;
    let first = arguments.seed.unwrap_or_else(rand::random);
    let mut kept = Vec::new();
    let mut as_promised = true;
    for at in 0..arguments.rounds {
        let seed = first.wrapping_add(at);
        complain(format_args!("seed {seed}"));
        let round = runtime.block_on(round::run(&binaries, extent, seed, faults));
        say(format_args!("{}", table::Table(&round.rows)));
        as_promised &= round.as_promised();
        kept.push(round);
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::to_vec_pretty(&kept)?;
        std::fs::write(path, json)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(as_promised)
}

/// Prints a line of the result.
#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

/// Tells the person at the terminal.
pub(crate) fn complain(line: std::fmt::Arguments<'_>) {
    eprintln!("harkara-faults: {line}");
}
