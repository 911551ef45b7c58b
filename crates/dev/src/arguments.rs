//! What the words on the command line ask for, and the text that teaches them.

/// A whole command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Print this text.
    Help(&'static str),
    /// Bring the product up.
    Up(UpOptions),
    /// Stop it.
    Down,
    /// Tell what is running.
    Status,
    /// Run the tests.
    Test(TestOptions),
    /// Measure.
    Bench(BenchOptions),
    /// Break things.
    Faults(FaultsOptions),
}

/// The options of `up`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UpOptions {
    /// Return once all is ready, and leave it running.
    pub(crate) detach: bool,
    /// Begin with empty servers.
    pub(crate) fresh: bool,
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
}

/// The options of `test`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
    /// Start the servers, say where they are, and wait.
    pub(crate) servers_only: bool,
    /// Words for the test runner.
    pub(crate) runner: Vec<String>,
}

/// The options of `bench`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    /// What is measured: one of [`PARTS`].
    pub(crate) part: &'static str,
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
    /// Words for `harkara-bench`.
    pub(crate) words: Vec<String>,
}

/// The options of `faults`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FaultsOptions {
    /// Whether missing servers may be installed.
    pub(crate) install: bool,
    /// Words for `harkara-faults`.
    pub(crate) words: Vec<String>,
}

/// The part that stands for all that come before [`INSTRUCTIONS`].
pub(crate) const ALL: &str = "all";

/// The part that needs the peer.
pub(crate) const PEER: &str = "peer";

/// The part that needs no servers.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// The parts of the benchmark, so that a wrong name is told before anything is built.
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

const HELP: &str = "\
cargo dev: Harkara on this machine, from nothing but Rust and a C compiler

  cargo dev up       build, start private servers, ingress and worker, deliver one signed example
                     of each event and show what became of it; Ctrl-C stops everything
  cargo dev down     stop what `cargo dev up` started
  cargo dev status   tell what is running
  cargo dev test     run every test against private servers of its own
  cargo dev bench    measure every stage on private servers of its own (Linux only)
  cargo dev faults   break servers, links and processes under load, and audit what became of it

Redis and PostgreSQL are installed with the system's package manager where they are missing.
`--help` after a command tells more of it. `just` lists all other tasks.";

const HELP_UP: &str = "\
cargo dev up [--detach] [--fresh] [--no-install]

Builds ingress, worker and the command `harkara`; starts a private Redis and a private PostgreSQL,
whose data and logs are under .dev/; brings the database's schema up to date; starts ingress and
worker; delivers one signed example of each event through them and shows what became of it. Redis and
PostgreSQL are installed with the system's package manager where they are missing. A second `up` finds
the data of the first.

  -d, --detach   return when all is ready and leave it running; `cargo dev down` stops it
  --fresh        throw the data of earlier runs away first
  --no-install   install nothing: say what to install instead

Where it listens, and the setting that changes it:
  127.0.0.1:8080    ingress            HARKARA__INGRESS__BIND
  127.0.0.1:9080    ingress, admin     HARKARA__INGRESS__ADMIN_BIND
  127.0.0.1:9081    worker, admin      HARKARA__WORKER__ADMIN_BIND
  127.0.0.1:16379   Redis              the port in HARKARA__REDIS__URL
  127.0.0.1:15432   PostgreSQL         the port in HARKARA__POSTGRES__URL

The endpoint `default` has the secret harkara-dev-secret, unless HARKARA__ENDPOINTS__DEFAULT__SECRETS
says otherwise. Every other HARKARA__* setting reaches the processes as it is.";

const HELP_TEST: &str = "\
cargo dev test [--no-install] [--servers-only] [-- ARGUMENTS FOR THE RUNNER]

Starts a Redis and a PostgreSQL of its own on free ports in a temporary folder, builds, runs every
test of the workspace (with cargo-nextest where it is installed, else with cargo test), and stops
and removes the servers whatever happens. Both are installed with the system's package manager where
they are missing. Some tests need a Redis of version 8.0 or later; where the system's is older, that of
a later release of the distribution is fetched into .dev/, without being installed. So is promtool where
Prometheus is not installed. No setting of yours (HARKARA_*, OTEL_*) reaches the tests.

  --no-install     install nothing: say what to install instead
  --servers-only   start the servers, print where they are, and keep them until Ctrl-C

Examples:
  cargo dev test                                     everything
  cargo dev test -- --package harkara-core           one crate
  cargo dev test -- late_capture                     the tests whose name contains this
  cargo dev test --servers-only                      then, in another terminal, paste the
                                                     `export` lines and run single tests at will";

const HELP_BENCH: &str = "\
cargo dev bench [PART] [--no-install] [OPTIONS OF THE BENCHMARK]

Builds the release binaries, starts a Redis and a PostgreSQL of its own on free ports in a temporary
folder on a disk, both with the durability of production, measures, prints the tables, and stops and
removes the servers whatever happens; it fails where an audit finds anything lost or stored twice. Both
are installed with the system's package manager where they are missing. No setting of yours (HARKARA_*,
OTEL_*) reaches what is measured. CPU time is read from /proc, so it measures on Linux only.

PART comes first:
  all            everything below but `instructions` (when no part is named)
  ingress        the ingress beside its references
  worker         the worker beside its references
  footprint      start to ready, and CPU time while nothing is delivered
  telemetry      the ingress and a worker with traces and metrics exported, and without
  e2e            ingress and worker at once, at a fixed rate, and an audit of what they stored
  peer           Harkara beside Express or Fastify with BullMQ; needs Node.js 20 or later with npm,
                 without which `all` leaves it out
  instructions   instructions that verifying, encoding, decoding and folding take, beside the stored
                 counts; fails where one has grown; needs valgrind, and neither servers nor a quiet
                 machine

  --no-install   install neither Redis nor PostgreSQL: say what to install instead

Options of the benchmark, for every PART but `instructions`:
  --quick              a smoke of seconds: one short round of everything; its figures mean nothing;
                       takes neither --seconds nor --e2e-rates nor --long
  --rounds N           rounds in which all variants take their turns, 1 to 100; without it 5 for
                       `ingress` and 3 for the others
  --seconds S          seconds of one run at full speed, 0.1 to 3600 (5); a run at a fixed rate takes
                       twice that, one of `e2e` four times
  --events N           events of one run of the worker (200000)
  --e2e-rates RATE,... deliveries a second of `e2e`, measured one after another (15000)
  --long               let `worker` also drain a backlog of two million entries
  --filter TEXT        measure only variants whose name contains this
  --json FILE          write the report as JSON too
  --plots FOLDER       draw the plots as SVG into this folder

The option of `instructions`:
  --accept             store the counts of this build instead of failing where one has grown

Examples:
  cargo dev bench                                    the whole table; leave the machine alone meanwhile
  cargo dev bench --quick                            whether all of it runs here
  cargo dev bench ingress --json ingress.json        one part
  cargo dev bench e2e --e2e-rates 5000,10000         the whole road at two rates";

const HELP_FAULTS: &str = "\
cargo dev faults [--no-install] [OPTIONS OF THE SUITE] [FAULT...]

Builds the release binaries (Linux only). For each fault starts a Redis, a PostgreSQL, an ingress and workers of its
own, with links between them that can be broken; lets `harkara load` deliver; breaks something meanwhile;
and audits: every delivery answered 200 is in the ledger with the same bytes and took effect once, and
every answer is one that was promised. Prints a table in Markdown, and fails where anything was otherwise.
Redis and PostgreSQL are installed with the system's package manager where they are missing. The clocks that
jump need the C compiler `cc`, and the full disk needs root.

  --no-install    install nothing: say what to install instead

Options of the suite:
  --list          name the faults and tell what happens in each
  --short         a few seconds and few deliveries for each fault, as `cargo dev test` does it
  --seed N        decides deliveries, moments and victims; drawn and printed where it is not given
  --rounds N      how often everything is done, each time with the next seed (1)
  --json FILE     write what was found as JSON too

Examples:
  cargo dev faults                           all of them: twenty minutes and more
  cargo dev faults redis-killed --seed 7     one, with the deliveries and moments of an earlier run";

/// Understands a command line, given without the program's name. The error is a sentence without
/// its full stop.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let mut words = words.into_iter();
    let Some(command) = words.next() else {
        return Ok(Request::Help(HELP));
    };
    match command.as_str() {
        "help" | "--help" | "-h" => Ok(Request::Help(HELP)),
        "up" => parse_up(words),
        "test" => parse_test(words),
        "bench" => parse_bench(words),
        "faults" => Ok(parse_faults(words)),
        "down" => parse_plain(words, "down", Request::Down),
        "status" => parse_plain(words, "status", Request::Status),
        other => Err(format!("there is no command `{other}`")),
    }
}

fn parse_up(words: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut options = UpOptions {
        detach: false,
        fresh: false,
        install: true,
    };
    for word in words {
        match word.as_str() {
            "--detach" | "-d" => options.detach = true,
            "--fresh" => options.fresh = true,
            "--no-install" => options.install = false,
            "--help" | "-h" => return Ok(Request::Help(HELP_UP)),
            other => return Err(format!("`cargo dev up` does not know `{other}`")),
        }
    }
    Ok(Request::Up(options))
}

fn parse_test(mut words: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut options = TestOptions {
        install: true,
        servers_only: false,
        runner: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--no-install" => options.install = false,
            "--servers-only" => options.servers_only = true,
            "--help" | "-h" => return Ok(Request::Help(HELP_TEST)),
            "--" => options.runner = words.by_ref().collect(),
            other => {
                return Err(format!(
                    "`cargo dev test` does not know `{other}` (words for the test runner go after `--`)"
                ));
            }
        }
    }
    if options.servers_only && !options.runner.is_empty() {
        return Err(
            "`--servers-only` runs no tests, so it takes no words for the test runner".to_owned(),
        );
    }
    Ok(Request::Test(options))
}

fn parse_bench(words: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut options = BenchOptions {
        part: ALL,
        install: true,
        words: Vec::new(),
    };
    let mut part_may_follow = true;
    for word in words {
        match word.as_str() {
            "--no-install" => options.install = false,
            "--help" | "-h" => return Ok(Request::Help(HELP_BENCH)),
            name if part_may_follow && !name.starts_with('-') => {
                options.part = PARTS
                    .into_iter()
                    .find(|part| *part == name)
                    .ok_or_else(|| {
                        let parts = PARTS.join(", ");
                        format!("`cargo dev bench` has no part `{name}`, only {parts}")
                    })?;
                part_may_follow = false;
            }
            _ => {
                part_may_follow = false;
                options.words.push(word);
            }
        }
    }
    Ok(Request::Bench(options))
}

fn parse_faults(words: impl Iterator<Item = String>) -> Request {
    let mut options = FaultsOptions {
        install: true,
        words: Vec::new(),
    };
    for word in words {
        match word.as_str() {
            "--no-install" => options.install = false,
            "--help" | "-h" => return Request::Help(HELP_FAULTS),
            _ => options.words.push(word),
        }
    }
    Request::Faults(options)
}

fn parse_plain(
    mut words: impl Iterator<Item = String>,
    command: &str,
    request: Request,
) -> Result<Request, String> {
    match words.next().as_deref() {
        None => Ok(request),
        Some("--help" | "-h") => Ok(Request::Help(HELP)),
        Some(other) => Err(format!("`cargo dev {command}` does not know `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn no_words_ask_for_help() {
        assert_eq!(parsed(""), Ok(Request::Help(HELP)));
    }

    #[test]
    fn up_takes_its_options_in_any_order() {
        let expected = Request::Up(UpOptions {
            detach: true,
            fresh: true,
            install: false,
        });
        assert_eq!(parsed("up --no-install --fresh --detach"), Ok(expected));
    }

    #[test]
    fn words_after_two_dashes_are_the_runners() {
        let expected = Request::Test(TestOptions {
            install: false,
            servers_only: false,
            runner: vec![
                "--package".to_owned(),
                "harkara-core".to_owned(),
                "--no-install".to_owned(),
            ],
        });
        assert_eq!(
            parsed("test --no-install -- --package harkara-core --no-install"),
            Ok(expected)
        );
    }

    #[test]
    fn bench_measures_all_unless_a_part_comes_first() {
        let measuring = |part| BenchOptions {
            part,
            install: true,
            words: Vec::new(),
        };
        assert_eq!(parsed("bench"), Ok(Request::Bench(measuring(ALL))));
        for part in PARTS {
            assert_eq!(
                parsed(&format!("bench {part}")),
                Ok(Request::Bench(measuring(part)))
            );
        }
    }

    #[test]
    fn words_that_bench_does_not_know_are_the_benchmarks() {
        let words = ["--quick", "--json", "peer"].map(str::to_owned).to_vec();
        let expected = |part| BenchOptions {
            part,
            install: false,
            words: words.clone(),
        };
        assert_eq!(
            parsed("bench --no-install worker --quick --json peer"),
            Ok(Request::Bench(expected("worker")))
        );
        assert_eq!(
            parsed("bench --quick --json peer --no-install"),
            Ok(Request::Bench(expected(ALL)))
        );
    }

    #[test]
    fn words_that_faults_does_not_know_are_the_suites() {
        let expected = Request::Faults(FaultsOptions {
            install: false,
            words: ["--short", "redis-killed"].map(str::to_owned).to_vec(),
        });
        assert_eq!(
            parsed("faults --short --no-install redis-killed"),
            Ok(expected)
        );
    }

    #[test]
    fn unknown_words_are_misuse() {
        for line in [
            "upp",
            "up --detatch",
            "down now",
            "test late_capture",
            "test --servers-only -- x",
            "bench ingres",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_command_teaches() {
        for line in [
            "help",
            "up --help",
            "test -h",
            "bench peer --help",
            "faults --short --help",
            "down --help",
            "status --help",
        ] {
            assert!(matches!(parsed(line), Ok(Request::Help(_))), "{line}");
        }
    }
}
