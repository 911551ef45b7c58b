//! `cargo dev bench`: every stage measured on private servers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::arguments::{ALL, INSTRUCTIONS, PEER};
use crate::checkout::Checkout;
use crate::interrupt::Interrupted;
use crate::report::Step;
use crate::sandbox::{self, Sandbox};
use crate::task::{Task, cargo_build, without_settings};
use crate::{install, peer, programs, report};

/// Everything that is measured, built together, so that every binary has the same features of its libraries.
const PACKAGES: [&str; 4] = [
    "harkara-ingress",
    "harkara-worker",
    "harkara-cli",
    "harkara-bench",
];

/// Runs the command.
pub(crate) fn run(part: &str, install: bool, arguments: &[OsString]) -> Result<()> {
    // The benchmark says so too, but only after it was built.
    ensure!(
        cfg!(target_os = "linux"),
        "the benchmark reads CPU time from /proc, so it runs on Linux only"
    );
    let checkout = Checkout::find()?;
    if part == INSTRUCTIONS {
        return count_instructions(&checkout, arguments);
    }
    let sandbox = Sandbox::create(sandbox::BENCHMARK)?;
    // Building takes longest, so it starts first.
    let building = Step::start();
    let mut build = Task::start(cargo_build(&checkout, &PACKAGES).arg("--release"))?;
    let programs = install::find_or_install(install, &checkout.logs()?)?;
    let step = Step::start();
    let servers = sandbox.start(&programs)?;
    step.done("Redis and PostgreSQL for the benchmark are ready");
    let peer = prepare_peer(&checkout, part)?;
    build.succeed()?;
    building.done("the release binaries are built");

    let binaries = checkout.binaries("release")?;
    let mut command = Command::new(binaries.join("harkara-bench"));
    // It resolves relative paths, so it runs in the developer's folder.
    without_settings(command.arg(part).args(arguments))
        .env("HARKARA_BENCH_REDIS_URL", &servers.redis_url)
        .env("HARKARA_BENCH_POSTGRES_URL", &servers.postgres_url)
        .env("HARKARA_BINARIES", &binaries)
        .env("HARKARA_BENCH_PEER", peer.unwrap_or_default());
    Task::start(&mut command)?.succeed()
}

/// Counts instructions, which takes no servers, in a build of its own profile.
fn count_instructions(checkout: &Checkout, arguments: &[OsString]) -> Result<()> {
    ensure!(
        programs::is_on_path("valgrind"),
        "valgrind, which counts the instructions, is not installed; install it with the system's package manager \
         (on Debian and Ubuntu `apt-get install valgrind`), then try again"
    );
    let building = Step::start();
    let mut build = cargo_build(checkout, &["harkara-bench"]);
    Task::start(build.args(["--profile", INSTRUCTIONS]))?.succeed()?;
    building.done("the benchmark is built");
    let program = checkout.binaries(INSTRUCTIONS)?.join("harkara-bench");
    let mut command = Command::new(program);
    command.arg(INSTRUCTIONS).args(arguments);
    Task::start(without_settings(&mut command))?.succeed()
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
