//! `harkara-bench`: measures every stage of the product on private servers, side by side with its
//! references and with what people would use instead, and ends with an audit.
//!
//! `cargo dev bench` starts the servers, builds the binaries and calls this.

mod arguments;
mod scale;

mod bench;
mod postgres_server;
mod redis_server;

mod process;
mod program;
mod usage;

mod peer;
mod product;
mod reference;

mod drain;
mod generator;

mod audit;
mod batch_times;
mod figures;
mod results;

mod measurements;

mod plot;
mod report;

mod instructions;
mod operate;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !cfg!(target_os = "linux") {
        eprintln!("harkara-bench: runs on Linux only, because it reads CPU time from /proc");
        return ExitCode::FAILURE;
    }
    let outcome = match &arguments.command {
        Some(Command::Serve { kind }) => reference::serve(*kind),
        Some(Command::Instructions { accept }) => instructions::run(*accept),
        Some(Command::Operate { operation, n }) => {
            operate::operate(*operation, *n).map(|()| ExitCode::SUCCESS)
        }
        None => measurements::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("harkara-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
