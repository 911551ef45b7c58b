//! `cargo dev bench`: every stage measured on servers of its own, by the program `harkara-bench`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::arguments::{ALL, BenchOptions, INSTRUCTIONS, PEER};
use crate::checkout::Checkout;
use crate::failure::{Failure, Result};
use crate::report::Step;
use crate::sandbox::{self, Sandbox};
use crate::task::{Task, exit_code};
use crate::{cargo, install, isolation, peer, programs, report};

/// All that is measured, built at once, so that every binary has the same features of its libraries.
const PACKAGES: [&str; 4] = [
    "harkara-ingress",
    "harkara-worker",
    "harkara-cli",
    "harkara-bench",
];

/// Cargo's profile for counting instructions, and the folder of its binaries.
const INSTRUCTIONS_PROFILE: &str = "instructions";

/// Runs the command.
pub(crate) fn run(options: &BenchOptions) -> Result<ExitCode> {
    // The benchmark says so too, but only after it was built.
    if !cfg!(target_os = "linux") {
        return Err("the benchmark reads CPU time from /proc, so it runs on Linux only".into());
    }
    let checkout = Checkout::find()?;
    if options.part == INSTRUCTIONS {
        return count_instructions(&checkout, &options.words);
    }
    let sandbox = Sandbox::make(&sandbox::BENCHMARK)?;
    // Building takes longest, so it begins first.
    let building = Step::start();
    let mut build = Task::start(cargo::build(&checkout, &PACKAGES).arg("--release"))?;
    let programs = install::find_or_install(options.install, &checkout.logs()?)?;
    let step = Step::start();
    let servers = sandbox.start(&programs)?;
    step.done("Redis and PostgreSQL for the benchmark are ready");
    let peer = prepare_peer(&checkout, options.part)?;
    let status = build.wait()?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    building.done("the release binaries are built");

    let binaries = checkout.binaries("release")?;
    let mut command = Command::new(binaries.join("harkara-bench"));
    // Its relative paths are the developer's, so it runs where the developer is.
    command.arg(options.part).args(&options.words);
    isolation::without_settings(&mut command)
        .env("HARKARA_BENCH_REDIS_URL", &servers.redis_url)
        .env("HARKARA_BENCH_POSTGRES_URL", &servers.postgres_url)
        .env("HARKARA_BINARIES", &binaries)
        .env("HARKARA_BENCH_PEER", peer.unwrap_or_default());
    let status = Task::start(&mut command)?.wait()?;
    Ok(exit_code(status))
}

/// Counts instructions, which takes no servers, in a build that is made for it.
fn count_instructions(checkout: &Checkout, words: &[String]) -> Result<ExitCode> {
    if !programs::is_on_path("valgrind") {
        return Err(
            "valgrind is not installed, and it counts the instructions; install it with the system's \
             package manager (on Debian and Ubuntu `apt-get install valgrind`), then try again"
                .into(),
        );
    }
    let building = Step::start();
    let mut build = cargo::build(checkout, &["harkara-bench"]);
    build.args(["--profile", INSTRUCTIONS_PROFILE]);
    let status = Task::start(&mut build)?.wait()?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    building.done("the benchmark is built");
    let program = checkout
        .binaries(INSTRUCTIONS_PROFILE)?
        .join("harkara-bench");
    let mut command = Command::new(program);
    command.arg(INSTRUCTIONS).args(words);
    let status = Task::start(isolation::without_settings(&mut command))?.wait()?;
    Ok(exit_code(status))
}

/// The peer's folder, made ready where the part needs it. Where that cannot be done the whole
/// benchmark goes on without.
fn prepare_peer(checkout: &Checkout, part: &str) -> Result<Option<PathBuf>> {
    match part {
        PEER => peer::prepare(checkout).map(Some),
        ALL => match peer::prepare(checkout) {
            Ok(folder) => Ok(Some(folder)),
            Err(Failure::Said(sentence)) => {
                report::say(format!("the peer is left out, because {sentence}"));
                Ok(None)
            }
            Err(Failure::Interrupted) => Err(Failure::Interrupted),
        },
        _ => Ok(None),
    }
}
