//! `cargo dev bench`: every stage measured on private servers.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use crate::arguments::{ALL, BenchOptions, INSTRUCTIONS, PEER};
use crate::checkout::Checkout;
use crate::interrupt::Interrupted;
use crate::report::Step;
use crate::sandbox::{self, Sandbox};
use crate::task::{Task, cargo_build, exit_code, without_settings};
use crate::{install, peer, programs, report};

/// Everything that is measured, built together, so that every binary has the same features of its libraries.
const PACKAGES: [&str; 4] = [
    "harkara-ingress",
    "harkara-worker",
    "harkara-cli",
    "harkara-bench",
];

/// Runs the command.
pub(crate) fn run(options: &BenchOptions) -> Result<ExitCode> {
    // The benchmark says so too, but only after it was built.
    ensure!(
        cfg!(target_os = "linux"),
        "the benchmark reads CPU time from /proc, so it runs on Linux only"
    );
    let checkout = Checkout::find()?;
    if options.part == INSTRUCTIONS {
        return count_instructions(&checkout, options);
    }
    let sandbox = Sandbox::create(&sandbox::BENCHMARK)?;
    // Building takes longest, so it starts first.
    let building = Step::start();
    let mut build = Task::start(cargo_build(&checkout, &PACKAGES).arg("--release"))?;
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
    // It resolves relative paths, so it runs in the developer's folder.
    command.arg(options.part).args(&options.arguments);
    without_settings(&mut command)
        .env("HARKARA_BENCH_REDIS_URL", &servers.redis_url)
        .env("HARKARA_BENCH_POSTGRES_URL", &servers.postgres_url)
        .env("HARKARA_BINARIES", &binaries)
        .env("HARKARA_BENCH_PEER", peer.unwrap_or_default());
    let status = Task::start(&mut command)?.wait()?;
    Ok(exit_code(status))
}

/// Counts instructions, which takes no servers, in a build of its own profile.
fn count_instructions(checkout: &Checkout, options: &BenchOptions) -> Result<ExitCode> {
    ensure!(
        programs::is_on_path("valgrind"),
        "valgrind, which counts the instructions, is not installed; install it with the system's package manager \
         (on Debian and Ubuntu `apt-get install valgrind`), then try again"
    );
    let building = Step::start();
    let mut build = cargo_build(checkout, &["harkara-bench"]);
    let status = Task::start(build.args(["--profile", INSTRUCTIONS]))?.wait()?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    building.done("the benchmark is built");
    let program = checkout.binaries(INSTRUCTIONS)?.join("harkara-bench");
    let mut command = Command::new(program);
    command.arg(INSTRUCTIONS).args(&options.arguments);
    let status = Task::start(without_settings(&mut command))?.wait()?;
    Ok(exit_code(status))
}

/// The peer's folder, prepared if the part needs it. If that fails, `all` goes on without it.
fn prepare_peer(checkout: &Checkout, part: &str) -> Result<Option<PathBuf>> {
    if part != PEER && part != ALL {
        return Ok(None);
    }
    match peer::prepare(checkout) {
        Err(error) if part == ALL && !error.is::<Interrupted>() => {
            report::say(format!("skipping the peer: {error:#}"));
            Ok(None)
        }
        prepared => prepared.map(Some),
    }
}
