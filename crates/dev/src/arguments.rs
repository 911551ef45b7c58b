//! The command line, parsed.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail, ensure};
use pico_args::Arguments;

use crate::help;

/// A parsed command line. With `install`, missing servers may be installed.
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
    /// Run the tests with these arguments for the test runner.
    Test {
        install: bool,
        runner: Vec<OsString>,
    },
    /// Start the servers of the tests, print their addresses, and wait.
    TestServers { install: bool },
    /// Measure a part, one of [`PARTS`], with these arguments for `harkara-bench`.
    Bench {
        part: &'static str,
        install: bool,
        arguments: Vec<OsString>,
    },
    /// Run the fault suite with these arguments for `harkara-faults`.
    Faults {
        install: bool,
        arguments: Vec<OsString>,
    },
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

/// The part that means all others except [`INSTRUCTIONS`].
pub(crate) const ALL: &str = "all";

/// The part that needs the peer.
pub(crate) const PEER: &str = "peer";

/// The part that needs no servers.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// The parts of the benchmark, so that a wrong name is reported before anything is built.
const PARTS: [&str; 9] = [
    ALL,
    "ingress",
    "worker",
    "footprint",
    "telemetry",
    "e2e",
    PEER,
    "operators",
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
        "test" => {
            let install = may_install(&mut arguments);
            let runner: Vec<OsString> = rest.drain(..).skip(1).collect();
            if arguments.contains("--servers-only") {
                ensure!(
                    runner.is_empty(),
                    "`--servers-only` runs no tests, so it takes no arguments for the test runner"
                );
                Request::TestServers { install }
            } else {
                Request::Test { install, runner }
            }
        }
        "bench" => {
            return Ok(Request::Bench {
                install: may_install(&mut arguments),
                part: part(arguments.subcommand()?.as_deref().unwrap_or(ALL))?,
                arguments: [arguments.finish(), rest].concat(),
            });
        }
        "faults" => {
            return Ok(Request::Faults {
                install: may_install(&mut arguments),
                arguments: [arguments.finish(), rest].concat(),
            });
        }
        "down" => Request::Down,
        _ => Request::Status,
    };
    if let Some(unknown) = arguments.finish().into_iter().chain(rest).next() {
        let unknown = unknown.display();
        bail!("`cargo dev {command}` has no argument `{unknown}`");
    }
    Ok(request)
}

fn part(name: &str) -> Result<&'static str> {
    let found = PARTS.into_iter().find(|part| *part == name);
    found.with_context(|| {
        let parts = PARTS.join(", ");
        format!("`cargo dev bench` has no part `{name}`, only {parts}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn bench(part: &'static str, install: bool, arguments: &str) -> Request {
        Request::Bench {
            part,
            install,
            arguments: words(arguments),
        }
    }

    #[test]
    fn every_command_takes_its_options() {
        let up = Request::Up(UpOptions {
            detach: true,
            fresh: true,
            install: false,
        });
        let test = Request::Test {
            install: false,
            runner: words("--package harkara-core --no-install"),
        };
        let faults = Request::Faults {
            install: false,
            arguments: words("--short redis-killed"),
        };
        for (line, expected) in [
            ("", Request::Help(help::OVERVIEW)),
            ("down", Request::Down),
            ("status", Request::Status),
            ("up --no-install --fresh --detach", up),
            (
                "test --no-install -- --package harkara-core --no-install",
                test,
            ),
            (
                "test --servers-only",
                Request::TestServers { install: true },
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
