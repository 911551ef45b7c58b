//! `cargo dev faults`: every fault under load and an audit of each, by the program `harkara-faults`.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::checkout::Checkout;
use crate::install;
use crate::report::Step;
use crate::task::{Task, cargo_build, without_settings};

/// The product, and the suite.
const PACKAGES: [&str; 4] = [
    "harkara-ingress",
    "harkara-worker",
    "harkara-cli",
    "harkara-faults",
];

/// Runs the command.
pub(crate) fn run(install: bool, arguments: &[OsString]) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the fault suite breaks processes and clocks in ways that only Linux offers"
    );
    let checkout = Checkout::find()?;
    // Building takes longest, so it starts first.
    let building = Step::start();
    let mut build = Task::start(cargo_build(&checkout, &PACKAGES).arg("--release"))?;
    let programs = install::find_or_install(install, &checkout.logs()?)?;
    build.succeed()?;
    building.done("the release binaries are built");

    let binaries = checkout.binaries("release")?;
    let mut command = Command::new(binaries.join("harkara-faults"));
    // It resolves relative paths, so it runs in the developer's folder.
    without_settings(command.args(arguments))
        .env("HARKARA_BINARIES", &binaries)
        .env("HARKARA_TEST_POSTGRES_PROGRAMS", programs.postgres_folder());
    Task::start(&mut command)?.succeed()
}
