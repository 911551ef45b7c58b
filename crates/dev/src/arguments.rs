//! The command line, parsed.

use std::ffi::OsString;

use anyhow::{Result, anyhow, bail, ensure};
use pico_args::Arguments;

use crate::help;

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Print this text.
    Help(&'static str),
    /// Start the product.
    Up(UpOptions),
    /// Stop it.
    Down,
    /// Show what is running.
    Status,
    /// Run the tests.
    Test(TestOptions),
    /// Run the benchmark.
    Bench(BenchOptions),
    /// Run the fault suite.
    Faults(FaultsOptions),
}

/// The options of `up`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UpOptions {
    /// Return once everything is ready, and leave it running.
    pub(crate) detach: bool,
    /// Start with empty servers.
    pub(crate) fresh: bool,
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
}

/// The options of `test`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
    /// Start the servers, print their addresses, and wait.
    pub(crate) servers_only: bool,
    /// Arguments for the test runner.
    pub(crate) runner: Vec<OsString>,
}

/// The options of `bench`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    /// What to measure: one of [`PARTS`].
    pub(crate) part: &'static str,
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
    /// Arguments for `harkara-bench`.
    pub(crate) arguments: Vec<OsString>,
}

/// The options of `faults`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FaultsOptions {
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
    /// Arguments for `harkara-faults`.
    pub(crate) arguments: Vec<OsString>,
}

/// The part that stands for all others but [`INSTRUCTIONS`].
pub(crate) const ALL: &str = "all";

/// The part that needs the peer.
pub(crate) const PEER: &str = "peer";

/// The part that needs no servers.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// The parts of the benchmark, so that a wrong name is reported before anything is built.
const PARTS: [&str; 8] = [
    ALL,
    "ingress",
    "worker",
    "footprint",
    "telemetry",
    "e2e",
    PEER,
    INSTRUCTIONS,
];

/// Parses a command line, given without the program's name.
pub(crate) fn parse(mut words: Vec<OsString>) -> Result<Request> {
    let dashes = words.iter().position(|word| word == "--");
    let mut rest = words.split_off(dashes.unwrap_or(words.len()));
    let mut arguments = Arguments::from_vec(words);
    let command = arguments.subcommand()?.unwrap_or_default();
    let help = match command.as_str() {
        "" | "help" => return Ok(Request::Help(help::OVERVIEW)),
        "up" => help::UP,
        "down" | "status" => help::OVERVIEW,
        "test" => help::TEST,
        "bench" => help::BENCH,
        "faults" => help::FAULTS,
        other => bail!("there is no command `{other}`"),
    };
    if arguments.contains(["-h", "--help"]) {
        return Ok(Request::Help(help));
    }
    let may_install = |arguments: &mut Arguments| !arguments.contains("--no-install");
    let request = match command.as_str() {
        "up" => Request::Up(UpOptions {
            detach: arguments.contains(["-d", "--detach"]),
            fresh: arguments.contains("--fresh"),
            install: may_install(&mut arguments),
        }),
        "test" => Request::Test(TestOptions {
            install: may_install(&mut arguments),
            servers_only: arguments.contains("--servers-only"),
            runner: rest.drain(..).skip(1).collect(),
        }),
        "bench" => {
            return Ok(Request::Bench(BenchOptions {
                install: may_install(&mut arguments),
                part: part(arguments.subcommand()?.as_deref().unwrap_or(ALL))?,
                arguments: [arguments.finish(), rest].concat(),
            }));
        }
        "faults" => {
            return Ok(Request::Faults(FaultsOptions {
                install: may_install(&mut arguments),
                arguments: [arguments.finish(), rest].concat(),
            }));
        }
        "down" => Request::Down,
        _ => Request::Status,
    };
    if let Some(unknown) = arguments.finish().into_iter().chain(rest).next() {
        bail!(
            "`cargo dev {command}` has no argument `{}`",
            unknown.display()
        );
    }
    if let Request::Test(options) = &request {
        ensure!(
            !options.servers_only || options.runner.is_empty(),
            "`--servers-only` runs no tests, so it takes no arguments for the test runner"
        );
    }
    Ok(request)
}

fn part(name: &str) -> Result<&'static str> {
    PARTS.into_iter().find(|part| *part == name).ok_or_else(|| {
        anyhow!(
            "`cargo dev bench` has no part `{name}`, only {}",
            PARTS.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn bench(part: &'static str, install: bool, arguments: &str) -> Request {
        Request::Bench(BenchOptions {
            part,
            install,
            arguments: words(arguments),
        })
    }

    #[test]
    fn every_command_takes_its_options() {
        let up = Request::Up(UpOptions {
            detach: true,
            fresh: true,
            install: false,
        });
        let test = Request::Test(TestOptions {
            install: false,
            servers_only: false,
            runner: words("--package harkara-core --no-install"),
        });
        let faults = Request::Faults(FaultsOptions {
            install: false,
            arguments: words("--short redis-killed"),
        });
        for (line, expected) in [
            ("", Request::Help(help::OVERVIEW)),
            ("down", Request::Down),
            ("status", Request::Status),
            ("up --no-install --fresh --detach", up),
            (
                "test --no-install -- --package harkara-core --no-install",
                test,
            ),
            ("faults --short --no-install redis-killed", faults),
            ("bench", bench(ALL, true, "")),
            (
                "bench --no-install worker --quick --json peer",
                bench("worker", false, "--quick --json peer"),
            ),
            (
                "bench --quick --json peer --no-install",
                bench(ALL, false, "--quick --json peer"),
            ),
        ] {
            assert_eq!(parse(words(line)).expect(line), expected, "{line}");
        }
        for part in PARTS {
            let line = format!("bench {part}");
            assert_eq!(parse(words(&line)).expect(part), bench(part, true, ""));
        }
    }

    #[test]
    fn unknown_arguments_are_usage_errors() {
        for line in [
            "upp",
            "up --detatch",
            "up -- x",
            "down now",
            "test late_capture",
            "test --servers-only -- x",
            "bench ingres",
        ] {
            assert!(parse(words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn every_command_has_help() {
        for line in [
            "help",
            "--help",
            "up --help",
            "test -h",
            "bench peer --help",
            "faults --short --help",
            "down --help",
            "status --help",
        ] {
            assert!(matches!(parse(words(line)), Ok(Request::Help(_))), "{line}");
        }
    }
}
