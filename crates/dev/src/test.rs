//! `cargo dev test`: every test against private servers, ending with the runner's summary.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::checkout::Checkout;
use crate::fetched::PROMTOOL;
use crate::newer_release::{NEWER_REDIS, PGBOUNCER};
use crate::report::Step;
use crate::sandbox::{self, PrivateServers, Sandbox};
use crate::task::{Task, cargo, without_settings};
use crate::{install, manifest_tools, programs, report};

/// Runs the tests.
pub(crate) fn run(install: bool, runner: &[OsString]) -> Result<()> {
    let checkout = Checkout::find()?;
    let sandbox = Sandbox::create(sandbox::TESTS)?;
    let is_nextest = programs::has_nextest();
    // Building takes longest, so it starts first. Arguments for the runner may ask for another build.
    let mut build = if runner.is_empty() {
        let mut build = tests(&checkout, is_nextest, false);
        Some(Task::start(build.arg("--no-run"))?)
    } else {
        None
    };
    let servers = start_servers(&checkout, install, &sandbox)?;
    if let Some(build) = &mut build {
        build.succeed()?;
        // Nextest skips examples in the documentation. They run first, so that the summary of the tests comes
        // last.
        if is_nextest {
            let mut examples = cargo(&checkout);
            examples.args(["test", "--workspace", "--doc", "--quiet"]);
            Task::start(servers.given_to(&mut examples))?.succeed()?;
        }
    }
    let mut tests = tests(&checkout, is_nextest, names_packages(runner));
    tests.args(runner);
    Task::start_interactive(servers.given_to(&mut tests))?.succeed()
}

/// Runs the servers alone until Ctrl-C.
pub(crate) fn run_servers(install: bool) -> Result<()> {
    let sandbox = Sandbox::create(sandbox::TESTS)?;
    let mut servers = start_servers(&Checkout::find()?, install, &sandbox)?;
    report::say("\nIn another terminal:\n");
    for (name, value) in &servers.variables {
        report::say(format!("export {name}={}", value.display()));
    }
    report::say("\nTheir data is temporary; Ctrl-C stops them.");
    servers.running.services.watch()
}

/// The test runner: cargo-nextest if installed, else cargo's own.
fn tests(checkout: &Checkout, is_nextest: bool, names_packages: bool) -> Command {
    let mut command = cargo(checkout);
    if is_nextest {
        command.args(["nextest", "run"]);
    } else {
        command.args(["test", "--no-fail-fast"]);
    }
    // Together with `--workspace`, cargo ignores the packages.
    if !names_packages {
        command.arg("--workspace");
    }
    command
}

/// Whether arguments of the runner name packages.
fn names_packages(runner: &[OsString]) -> bool {
    let mut arguments = runner.iter().filter_map(|argument| argument.to_str());
    arguments.any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

/// What the tests are given.
struct Servers {
    running: PrivateServers,
    /// The variables that name the servers and the programs that tests start themselves.
    variables: Vec<(&'static str, OsString)>,
}

impl Servers {
    /// Passes the servers to a command, and none of the developer's settings.
    fn given_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let variables = self.variables.iter();
        without_settings(command).envs(variables.map(|(name, value)| (name, value)))
    }
}

fn start_servers(checkout: &Checkout, may_install: bool, sandbox: &Sandbox) -> Result<Servers> {
    let programs = install::find_or_install(may_install, &checkout.logs()?)?;
    let redis_with_waitaof = NEWER_REDIS.find_or_fetch(may_install, checkout)?;
    let promtool = PROMTOOL.find_or_fetch(may_install, checkout)?;
    let pgbouncer = PGBOUNCER.find_or_fetch(may_install, checkout)?;
    let manifest_tools = manifest_tools::find_or_fetch(may_install, checkout)?;
    let step = Step::start();
    let running = sandbox.start(&programs)?;
    step.done("Redis and PostgreSQL for the tests are ready");
    let (redis, postgres) = (&running.redis_url, &running.postgres_url);
    let variables = [
        ("HARKARA_TEST_REDIS_URL", Some(redis.into())),
        ("HARKARA_TEST_POSTGRES_URL", Some(postgres.into())),
        // Seldom on the path.
        (
            "HARKARA_TEST_POSTGRES_PROGRAMS",
            Some(programs.postgres_folder().into()),
        ),
        (
            "HARKARA_TEST_REDIS_WITH_WAITAOF",
            redis_with_waitaof.map(OsString::from),
        ),
        ("HARKARA_TEST_PROMTOOL", promtool.map(OsString::from)),
        ("HARKARA_TEST_PGBOUNCER", pgbouncer.map(OsString::from)),
        (
            "HARKARA_TEST_MANIFEST_TOOLS",
            manifest_tools.map(OsString::from),
        ),
    ];
    let variables = variables.into_iter();
    let variables = variables.filter_map(|(name, value)| Some((name, value?)));
    Ok(Servers {
        variables: variables.collect(),
        running,
    })
}

#[cfg(test)]
mod tests {
    use super::names_packages;

    #[test]
    fn packages_are_recognized() {
        for (arguments, expected) in [
            (&["--package", "harkara-core"][..], true),
            (&["-p", "harkara-core", "late_capture"], true),
            (&["late_capture", "--profile=ci"], false),
        ] {
            let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
            assert_eq!(names_packages(&arguments), expected);
        }
    }
}
