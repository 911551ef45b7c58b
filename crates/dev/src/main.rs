//! `cargo dev`: runs the whole product, its tests or its benchmark on private servers. It needs nothing but a
//! Rust toolchain and a C compiler.

/// The command line, parsed.
mod arguments;

/// Help texts.
mod help;

/// `cargo dev up`.
mod up;

/// `cargo dev down` and `cargo dev status`.
mod down;

/// `cargo dev test`.
mod test;

/// `cargo dev bench`.
mod bench;

/// `cargo dev faults`.
mod faults;

/// Node.js and the packages of the benchmark's peer.
mod peer;

/// The folder and the servers of one run of the tests or the benchmark.
mod sandbox;

/// The data that outlives an `up`.
mod data;

/// The private Redis and PostgreSQL.
mod servers;

/// Ingress, worker and the `harkara` command.
mod product;

/// Started processes and their pid files.
mod services;

/// Commands that run to their end, such as cargo.
mod task;

/// Which processes descend from which.
mod process_tree;

/// Finds installed programs.
mod programs;

/// Installs missing servers.
mod install;

/// Fetches programs that some tests need.
mod fetched;

/// Fetches the tools that check manifests.
mod manifest_tools;

/// The Redis of the tests that need a newer one.
mod newer_release;

/// Listen addresses, from the settings in the environment.
mod addresses;

/// Checks that the addresses are free.
mod ports;

/// Paths in this checkout.
mod checkout;

/// Ctrl-C and termination signals.
mod interrupt;

/// Output for the developer.
mod report;

use std::process::ExitCode;

use arguments::Request;
use interrupt::Interrupted;
use task::Ended;

/// The exit code of a usage error.
const EXIT_USAGE: u8 = 2;
/// The exit code of a command ended by Ctrl-C or a signal, by the shells' convention.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let request = match arguments::parse(std::env::args_os().skip(1).collect()) {
        Ok(request) => request,
        Err(error) => {
            report::complain(&format!("{error:#}; see `cargo dev --help`"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let outcome = interrupt::listen().and_then(|()| match request {
        Request::Help(text) => {
            report::say(text);
            Ok(())
        }
        Request::Up(options) => up::run(&options),
        Request::Down => down::run(),
        Request::Status => down::status(),
        Request::Test { install, runner } => test::run(install, &runner),
        Request::TestServers { install } => test::run_servers(install),
        Request::Bench {
            part,
            install,
            arguments,
        } => bench::run(part, install, &arguments),
        Request::Faults { install, arguments } => faults::run(install, &arguments),
    });
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    if error.is::<Interrupted>() {
        return ExitCode::from(EXIT_INTERRUPTED);
    }
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return ended.exit_code();
    }
    report::complain(&format!("{error:#}"));
    ExitCode::FAILURE
}
