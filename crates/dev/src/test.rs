//! `cargo dev test`: every test against servers of its own, ending with the runner's summary.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::arguments::TestOptions;
use crate::checkout::Checkout;
use crate::failure::Result;
use crate::newer_redis::NEWER_REDIS;
use crate::promtool::PROMTOOL;
use crate::report::Step;
use crate::sandbox::{self, PrivateServers, Sandbox};
use crate::task::{Task, exit_code};
use crate::{cargo, install, interrupt, isolation, programs, report};

/// Runs the command.
pub(crate) fn run(options: &TestOptions) -> Result<ExitCode> {
    let checkout = Checkout::find()?;
    let sandbox = Sandbox::make(&sandbox::TESTS)?;
    if options.servers_only {
        let servers = start_servers(&checkout, options, &sandbox)?;
        return keep(servers);
    }
    let runner = Runner::find(&checkout);
    let with_words = !options.runner.is_empty();
    // Building takes longest, so it begins first. Words for the runner may ask for another build.
    let build = if with_words {
        None
    } else {
        Some(Task::start(&mut runner.build())?)
    };
    let servers = start_servers(&checkout, options, &sandbox)?;
    if let Some(mut build) = build {
        let status = build.wait()?;
        if !status.success() {
            return Ok(exit_code(status));
        }
        // The summary of the last runner is the last that is printed, so the shorter goes first.
        if let Some(mut examples) = runner.documentation_examples() {
            let status = Task::start(isolated(&mut examples, &servers))?.wait()?;
            if !status.success() {
                return Ok(exit_code(status));
            }
        }
    }
    let mut tests = runner.tests();
    tests.args(&options.runner);
    let status = Task::start_with_keyboard(isolated(&mut tests, &servers))?.wait()?;
    Ok(exit_code(status))
}

/// What the tests are given.
struct Servers {
    running: PrivateServers,
    /// Programs that tests start themselves, where they are there.
    redis_with_waitaof: Option<PathBuf>,
    promtool: Option<PathBuf>,
}

fn start_servers(checkout: &Checkout, options: &TestOptions, sandbox: &Sandbox) -> Result<Servers> {
    let programs = install::find_or_install(options.install, &checkout.logs()?)?;
    let redis_with_waitaof = NEWER_REDIS.find_or_fetch(options.install, checkout)?;
    let promtool = PROMTOOL.find_or_fetch(options.install, checkout)?;
    let step = Step::start();
    let running = sandbox.start(&programs)?;
    step.done("Redis and PostgreSQL for the tests are ready");
    Ok(Servers {
        running,
        redis_with_waitaof,
        promtool,
    })
}

/// Keeps the servers until Ctrl-C.
fn keep(mut servers: Servers) -> Result<ExitCode> {
    report::say("\nIn another terminal:\n");
    for (name, value) in variables(&servers) {
        report::say(format!("export {name}={}", value.display()));
    }
    report::say("\nThey hold nothing that lasts; Ctrl-C ends them.");
    while !interrupt::requested() {
        servers.running.services.check_alive()?;
        interrupt::pause_regardless();
    }
    Ok(ExitCode::SUCCESS)
}

/// A test runner.
struct Runner<'a> {
    checkout: &'a Checkout,
    is_nextest: bool,
}

impl<'a> Runner<'a> {
    /// cargo-nextest where it is installed, else cargo's own.
    fn find(checkout: &'a Checkout) -> Self {
        Self {
            checkout,
            is_nextest: programs::has_nextest(),
        }
    }

    fn tests(&self) -> Command {
        let mut command = cargo::command(self.checkout);
        command
            .args(if self.is_nextest {
                &["nextest", "run"][..]
            } else {
                &["test"][..]
            })
            .arg("--workspace");
        if !self.is_nextest {
            command.arg("--no-fail-fast");
        }
        command
    }

    fn build(&self) -> Command {
        let mut command = self.tests();
        command.arg("--no-run");
        command
    }

    /// The examples in the documentation, which nextest leaves out.
    fn documentation_examples(&self) -> Option<Command> {
        self.is_nextest.then(|| {
            let mut command = cargo::command(self.checkout);
            command.args(["test", "--workspace", "--doc", "--quiet"]);
            command
        })
    }
}

/// Gives the runner the servers, and none of the developer's settings.
fn isolated<'a>(command: &'a mut Command, servers: &Servers) -> &'a mut Command {
    isolation::without_settings(command).envs(variables(servers))
}

/// The variables that tell the tests where the servers are, and PostgreSQL's programs, which are seldom
/// on the path.
fn variables(servers: &Servers) -> impl Iterator<Item = (&'static str, &OsStr)> {
    let PrivateServers {
        redis_url,
        postgres_url,
        postgres_programs,
        ..
    } = &servers.running;
    let running = [
        ("HARKARA_TEST_REDIS_URL", OsStr::new(redis_url)),
        ("HARKARA_TEST_POSTGRES_URL", OsStr::new(postgres_url)),
        (
            "HARKARA_TEST_POSTGRES_PROGRAMS",
            postgres_programs.as_os_str(),
        ),
    ];
    let programs = [
        (
            "HARKARA_TEST_REDIS_WITH_WAITAOF",
            &servers.redis_with_waitaof,
        ),
        ("HARKARA_TEST_PROMTOOL", &servers.promtool),
    ];
    let programs = programs.into_iter().filter_map(|(name, program)| {
        let program = program.as_deref()?;
        Some((name, program.as_os_str()))
    });
    running.into_iter().chain(programs)
}
