//! `harkara-bench`: measures every stage of the product on private servers, side by side with its
//! references and with what people would use instead, and ends with an audit.
//!
//! `cargo dev bench` starts the servers, builds the binaries and calls this.

/// What the words on the command line ask for.
mod arguments;

/// How much is measured.
mod extent;

/// What every part of the benchmark works with.
mod bench;

/// The private Redis and PostgreSQL.
mod servers;

/// CPU time and memory of processes.
mod process;

/// A program under measurement: started, told to stop, ended with us.
mod child;

/// The product, started.
mod product;

/// What the product is compared with: the ceilings of its parts.
mod reference;

/// What people would use instead.
mod peer;

/// The load generator, on a thread of its own.
mod generator;

/// Waiting until streams and queues are drained.
mod drain;

/// How long batches took, as a process tells it.
mod batch_times;

/// What every process uses in a run.
mod watch;

/// What one run gave.
mod figures;

/// Interleaved rounds and their medians.
mod rounds;

/// The scenarios.
mod parts;

/// Accepted = stored, nothing twice.
mod audit;

/// What is told at the end.
mod report;

/// Line charts as SVG.
mod plot;

/// One operation of the product again and again.
mod operate;

/// How many instructions that takes.
mod instructions;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !cfg!(target_os = "linux") {
        eprintln!("harkara-bench: it reads CPU time from /proc, so it runs on Linux only");
        return ExitCode::FAILURE;
    }
    let outcome = match &arguments.command {
        Some(Command::Serve { kind }) => reference::serve(*kind),
        Some(Command::Instructions { accept }) => instructions::run(*accept),
        Some(Command::Operate { operation, n }) => {
            operate::operate(*operation, *n).map(|()| ExitCode::SUCCESS)
        }
        None => parts::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("harkara-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
