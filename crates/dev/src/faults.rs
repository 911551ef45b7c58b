//! `cargo dev faults`: every fault under load and an audit of each, by the program `harkara-faults`.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use crate::arguments::FaultsOptions;
use crate::checkout::Checkout;
use crate::install;
use crate::report::Step;
use crate::task::{Task, cargo_build, exit_code, without_settings};

/// The product, and the suite.
const PACKAGES: [&str; 4] = [
    "harkara-ingress",
    "harkara-worker",
    "harkara-cli",
    "harkara-faults",
];

/// Runs the command.
pub(crate) fn run(options: &FaultsOptions) -> Result<ExitCode> {
    ensure!(
        cfg!(target_os = "linux"),
        "the fault suite breaks processes and clocks in ways that only Linux offers"
    );
    let checkout = Checkout::find()?;
    // Building takes longest, so it starts first.
    let building = Step::start();
    let mut build = Task::start(cargo_build(&checkout, &PACKAGES).arg("--release"))?;
    let programs = install::find_or_install(options.install, &checkout.logs()?)?;
    let status = build.wait()?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    building.done("the release binaries are built");

    let binaries = checkout.binaries("release")?;
    let mut command = Command::new(binaries.join("harkara-faults"));
    // It resolves relative paths, so it runs in the developer's folder.
    command.args(&options.arguments);
    without_settings(&mut command)
        .env("HARKARA_BINARIES", &binaries)
        .env(
            "HARKARA_TEST_POSTGRES_PROGRAMS",
            &programs.postgres[0].folder,
        );
    let status = Task::start(&mut command)?.wait()?;
    Ok(exit_code(status))
}
