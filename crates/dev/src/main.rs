//! `cargo dev`: the whole product, or its tests, on private servers of their own, from nothing
//! but a Rust toolchain and a C compiler.

/// What the words on the command line ask for.
mod arguments;

/// `cargo dev up`: from a clone to processed example events.
mod up;

/// `cargo dev down` and the end of what an earlier `up` left.
mod down;

/// `cargo dev status`: what is running.
mod status;

/// `cargo dev test`: every test against servers of its own.
mod test;

/// `cargo dev bench`: every stage measured on servers of its own.
mod bench;

/// `cargo dev faults`: every fault under load, and an audit of each.
mod faults;

/// What Harkara is measured beside: Node.js and its packages.
mod peer;

/// The temporary folder and the servers of one run of the tests or of the benchmark.
mod sandbox;

/// Whether a folder is in memory.
mod memory_disk;

/// Keeping the developer's settings away.
mod isolation;

/// The data that outlives an `up`.
mod data;

/// The private PostgreSQL.
mod postgres;

/// The private Redis.
mod redis;

/// Our own processes: ingress and worker.
mod product;

/// Cargo, called for the checkout.
mod cargo;

/// A command that is waited for, and that ends with us.
mod task;

/// Finding the servers' programs, newest first.
mod programs;

/// Installing the servers' programs where they are missing.
mod install;

/// Fetching programs that some tests need into the checkout.
mod fetched;

/// The Redis of the tests that need a newer one.
mod newer_redis;

/// The program that checks alert rules.
mod promtool;

/// The account that runs PostgreSQL when we are root.
mod unprivileged;

/// Addresses, taken from the settings in the environment.
mod addresses;

/// Whether those addresses are free.
mod ports;

/// A started process: watched, stopped, remembered in a file.
mod service;

/// The files that remember processes, and the processes they name.
mod pid_file;

/// Ending a process politely, then not.
mod ending;

/// Asking a server whether it is ready.
mod readiness;

/// Where things are in this checkout.
mod checkout;

/// Ctrl-C and its like.
mod interrupt;

/// What is told to the developer.
mod report;

/// Why a command ends early.
mod failure;

use std::process::ExitCode;

use arguments::Request;
use failure::Failure;

/// The exit code of a command line that was used wrongly.
const EXIT_MISUSED: u8 = 2;
/// The exit code of a command ended by Ctrl-C or a signal, by the shells' convention.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let request = match arguments::parse(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(misuse) => {
            report::complain(&format!("{misuse}; `cargo dev --help` shows what there is"));
            return ExitCode::from(EXIT_MISUSED);
        }
    };
    let outcome = interrupt::listen().and_then(|()| match request {
        Request::Help(text) => {
            report::say(text);
            Ok(ExitCode::SUCCESS)
        }
        Request::Up(options) => up::run(&options),
        Request::Down => down::run(),
        Request::Status => status::run(),
        Request::Test(options) => test::run(&options),
        Request::Bench(options) => bench::run(&options),
        Request::Faults(options) => faults::run(&options),
    });
    match outcome {
        Ok(code) => code,
        Err(Failure::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
        Err(Failure::Said(sentence)) => {
            report::complain(&sentence);
            ExitCode::FAILURE
        }
    }
}
