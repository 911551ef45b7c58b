//! `harkara`, the operators' command line.
//!
//! The modules are in the order of a call: its arguments, the command, its output and trace, and the exit code.

// What is printed goes through `output`, which escapes it.
#![warn(clippy::print_stderr)]

mod arguments;

mod commands;

mod walk;

mod output;

mod traced;

mod exit;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::commands::{
    adopt, completions, doctor, events, grants, lag, load, migrate, probe, reference, replay,
    secrets, trigger,
};
use crate::exit::Ending;
use crate::traced::Call;

/// Runs one command.
#[must_use]
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    exit::code(run(&arguments).await)
}

async fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let name = (&arguments.command).into();
    let call = if is_traced(&arguments.command) {
        Call::begin(name)
    } else {
        Call::untraced(name)
    }?;
    let result = run_within(&call, arguments).await;
    call.end(matches!(result, Ok(Ending::Done)));
    result
}

/// Those that print what the program knows connect to nothing, and a probe runs every few seconds.
fn is_traced(command: &Command) -> bool {
    !matches!(
        command,
        Command::Probe(_)
            | Command::Grants(_)
            | Command::Completions(_)
            | Command::Reference { .. }
    )
}

async fn run_within(call: &Call, arguments: &Arguments) -> anyhow::Result<Ending> {
    match &arguments.command {
        Command::Migrate(options) => migrate::run(&arguments.settings()?, options).await,
        Command::Trigger(options) => trigger::run(call, &arguments.settings()?, options).await,
        Command::Events(options) => events::run(&arguments.settings()?, options).await,
        Command::Replay(options) => replay::run(&arguments.settings()?, options).await,
        Command::Lag(options) => lag::run(&arguments.settings()?, options).await,
        Command::Secrets(options) => secrets::run(&arguments.settings()?, options).await,
        Command::Load(options) => load::run(&arguments.settings()?, options).await,
        Command::Adopt(options) => adopt::run(&arguments.settings()?, options).await,
        Command::Grants(options) => grants::run(options),
        Command::Completions(options) => completions::run(options),
        Command::Probe(options) => probe::run(|| Ok(arguments.settings()?), options).await,
        Command::Doctor(options) => doctor::run(call, arguments.settings(), options).await,
        Command::Reference { page, folder } => reference::run(*page, folder.as_deref()),
    }
}
