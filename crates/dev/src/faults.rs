//! `cargo dev faults`: every fault under load and an audit of each, by the program `harkara-faults`.

use std::process::{Command, ExitCode};

use crate::arguments::FaultsOptions;
use crate::checkout::Checkout;
use crate::failure::Result;
use crate::report::Step;
use crate::task::{Task, exit_code};
use crate::{cargo, install, isolation};

/// What is broken, what breaks it, and what delivers and audits.
const PACKAGES: [&str; 4] = [
    "harkara-ingress",
    "harkara-worker",
    "harkara-cli",
    "harkara-faults",
];

/// Runs the command.
pub(crate) fn run(options: &FaultsOptions) -> Result<ExitCode> {
    if !cfg!(target_os = "linux") {
        return Err(
            "the fault suite breaks processes and clocks as Linux lets it, so it runs there only"
                .into(),
        );
    }
    let checkout = Checkout::find()?;
    // Building takes longest, so it begins first.
    let building = Step::start();
    let mut build = Task::start(cargo::build(&checkout, &PACKAGES).arg("--release"))?;
    let programs = install::find_or_install(options.install, &checkout.logs()?)?;
    let postgres = programs.postgres.first().ok_or("there is no PostgreSQL")?;
    let status = build.wait()?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    building.done("the release binaries are built");

    let binaries = checkout.binaries("release")?;
    let mut command = Command::new(binaries.join("harkara-faults"));
    // Its relative paths are the developer's, so it runs where the developer is.
    command.args(&options.words);
    isolation::without_settings(&mut command)
        .env("HARKARA_BINARIES", &binaries)
        .env("HARKARA_TEST_POSTGRES_PROGRAMS", postgres.folder());
    let status = Task::start(&mut command)?.wait()?;
    Ok(exit_code(status))
}
